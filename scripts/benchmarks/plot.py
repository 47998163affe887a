"""Plots the time of each contender relative to the hand-written loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.epochs import Result
from benchmarks.report import PLOTTED_BATCH_SIZE, TITLES, grouped
from benchmarks.workloads import NETWORKS

COLORS = {
    "nnzoo": "#d1495b",
    "dataloader": "#30638e",
    "ignite": "#4f83ab",
    "skorch": "#7ba3c3",
    "lightning": "#8a8f98",
    "fastai": "#a9adb4",
    "keras": "#c8cbd0",
}


def draw(found: dict[str, Any], path: Path) -> bool:
    """Draws the bars of each network on the CPU, at batch size 64 or else the first measured one.

    Returns:
        Whether there was data to draw, and matplotlib is installed.
    """
    results = [Result(**each) for each in found["epochs"]]
    sizes = [result.batch_size for result in results]
    size = PLOTTED_BATCH_SIZE if PLOTTED_BATCH_SIZE in sizes else next(iter(sizes), None)
    of_cpu = [r for group in grouped(results) for r in group if r.device == "cpu"]
    shown = [r for r in of_cpu if r.batch_size == size and "limit" in r.turns]
    names = [name for name in COLORS if any(name in result.turns for result in shown)]
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return False
    if not names:
        return False
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    axes = figure.subplots()
    width = 0.86 / len(names)
    for place, name in enumerate(names):
        of_name = [(number, r.ratio(name, "limit")) for number, r in enumerate(shown) if name in r.turns]
        left = [number + (place - (len(names) - 1) / 2) * width for number, _ in of_name]
        heights = [ratio for _, ratio in of_name]
        bars = axes.bar(left, heights, 0.92 * width, color=COLORS[name], label=TITLES[name].replace("*", ""))
        axes.bar_label(bars, fmt="%.1f", fontsize=7, padding=1, color="#444444")
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks(range(len(shown)), [NETWORKS[result.network].title for result in shown])
    axes.set_ylabel("time per epoch / hand-written loop")
    size_text = "all samples in one batch" if size is None else f"batch size {size}"
    axes.set_title(
        f"Time of an epoch of training and validation relative to a hand-written loop, {size_text}", fontsize=10
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="x", length=0)
    axes.margins(y=0.1)
    axes.legend(frameon=False, ncols=2, fontsize=8)
    figure.savefig(path, dpi=130)
    return True
