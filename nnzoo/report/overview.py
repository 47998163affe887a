"""The result of a run, what stands out, and how to repeat it."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nnzoo.config.train import title_of
from nnzoo.experiment.evaluate.confidence import intervals
from nnzoo.experiment.train.finished import RunWithData
from nnzoo.numbers import number
from nnzoo.report.charts import Bars, Cell, Part, Section, TableOf, Text
from nnzoo.run.directory import CONFIG, ENVIRONMENT

MAX_RESAMPLED = 200_000
"""Intervals are resampled up to this number of outputs, since resampling takes seconds for more."""


def result_section(run: RunWithData) -> Section:
    """Returns the metrics with their intervals, the baseline, the restarts and the findings."""
    result = run.result
    status = str(result["status"]).replace("_", " ").capitalize()
    epochs = "1 epoch" if result["epochs"] == 1 else f"{result['epochs']} epochs"
    best = f", best epoch {result['best_epoch']} by {result['monitor']}" if result["best_epoch"] else ""
    parts: list[Part] = [
        Text(
            f"{status} after {epochs}{best}; {result['num_parameters']:,} parameters, "
            f"{result['seconds']:.1f} s on {result['device']}."
        )
    ]
    if result["metrics"]:
        parts += [_measured(run), _by_split(run)]
    if run.missing:
        parts.append(Text(run.missing))
    if "restarts" in result:
        parts += _restarts(result["restarts"])
    if "folds" in result:
        parts.append(_folds(result["folds"]))
    return Section("result", "Result", [*parts, _findings(run)])


def _measured(run: RunWithData) -> TableOf:
    """Returns the table of the measured split: the network with its intervals, the baseline and the simple models."""
    result, prefix = run.result, f"{run.split}/"
    metrics = {key.removeprefix(prefix): value for key, value in result["metrics"].items() if key.startswith(prefix)}
    bounds = _intervals(run, metrics)
    # A run of an older version has only the linear model.
    simple = result.get("baselines", {"linear": result["linear"]} if "linear" in result else {})
    others = {"baseline": result["baseline"], **{title_of(name): scores for name, scores in simple.items()}}
    rows: list[list[Cell]] = []
    for name, value in metrics.items():
        low, high = bounds.get(name, (math.nan, math.nan))
        between = "" if math.isnan(low) else f"{number(low)} to {number(high)}"
        rows.append([name, value, between, *(scores.get(prefix + name) for scores in others.values())])
    caption = (
        "The best weights. The interval is the uncertainty from the number of samples, not from the seed. The baseline "
        "ignores the inputs, or is the naive forecast of a series. Other columns are simple models that were fitted on "
        "train."
    )
    header = ["metric", "network", "95 % interval", *others]
    return TableOf(f"On the {run.split} split", caption, header, rows, precise=True)


def _intervals(run: RunWithData, metrics: dict[str, float]) -> dict[str, tuple[float, float]]:
    if run.experiment is None or run.outputs is None:
        return {}
    if run.outputs.numel() > MAX_RESAMPLED:
        metrics = {name: metrics[name] for name in metrics if name in ("accuracy", "top5_accuracy")}
        if run.dataset.task != "classification" or run.dataset.per != "sample":
            return {}
    targets = run.experiment.splits[run.split].truth.cpu()
    return intervals(metrics, run.experiment.decoder.on_cpu(), run.outputs, targets)


def _by_split(run: RunWithData) -> TableOf:
    metrics = run.result["metrics"]
    names = list(dict.fromkeys(key.partition("/")[2] for key in metrics))
    splits = list(dict.fromkeys(key.partition("/")[0] for key in metrics))
    rows: list[list[Cell]] = [[split, *(metrics.get(f"{split}/{name}") for name in names)] for split in splits]
    caption = "A large gap between train and val is overfitting."
    return TableOf("On every split", caption, ["split", *names], rows, precise=True)


def _folds(folds: dict[str, Any]) -> TableOf:
    """Returns the metrics of each fold, on the samples that its network did not see, with their mean and spread."""
    numbers = range(1, folds["finished"] + 1)
    rows: list[list[Cell]] = [
        [name, each["mean"], each["std"], *each["values"]] for name, each in folds["metrics"].items()
    ]
    header = ["metric", "mean", "standard deviation", *(f"fold {number}" for number in numbers)]
    caption = "The metrics of each network on the samples of its fold, which it did not see."
    return TableOf("Folds", caption, header, rows, precise=True)


def _restarts(restarts: dict[str, Any]) -> list[Part]:
    """Returns the spread of random restarts."""
    finished = [
        (seed, value) for seed, value in zip(restarts["seeds"], restarts["values"], strict=True) if value is not None
    ]
    if not finished:
        return [Text(f"All {len(restarts['values'])} restarts diverged.")]
    spread = f" ± {number(restarts['std'])}" if restarts["std"] is not None else ""
    reason = f" ({restarts['reason']})" if restarts["reason"] else ""
    text = (
        f"{restarts['count']} restarts, {restarts['how']}{reason}: {restarts['monitor']} has the mean "
        f"{number(restarts['mean'])}{spread}, from {number(restarts['min'])} to {number(restarts['max'])}; "
        f"{len(restarts['values']) - len(finished)} diverged. The best seed is {restarts['best']}."
    )
    ordered = sorted(finished, key=lambda pair: pair[1])
    chart = Bars(
        "Restarts",
        f"The best {restarts['monitor']} of each restart, sorted.",
        [f"seed {seed}" for seed, _ in ordered],
        {restarts["monitor"]: [value for _, value in ordered]},
    )
    return [Text(text), chart]


def _findings(run: RunWithData) -> TableOf:
    rows: list[list[Cell]] = [list(row) for row in _noticed(run)]
    if not rows:
        rows = [["none", "", "Nothing stands out in the curves, the comparison with the baseline, and the warnings."]]
    examined = f"{run.folder.name}/fold-1" if "folds" in run.result else run.folder.name
    caption = f"nnzoo doctor {examined} also examines the samples and the units of the network."
    return TableOf("Findings", caption, ["severity", "topic", "finding"], rows, limit=1000)


def _noticed(run: RunWithData) -> Iterator[tuple[str, str, str]]:
    """Yields severity, topic and message of what stands out."""
    result = run.result
    for finding in result.get("findings", ()):
        fix = f" Fix: {' '.join(finding['fix'])}" if finding["fix"] else ""
        yield finding["severity"], finding["topic"], finding["message"] + fix
    if not result.get("findings"):
        if result["status"] == "diverged":
            yield (
                "spoils",
                "divergence",
                "The loss was no longer finite. Try a smaller optimizer.lr, or clip_grad_norm.",
            )
        yield from (("warning", "comparison", note) for note in result.get("notes", ()))
    for text in result.get("warnings", ()):
        yield "warning", "data", text


def repeat_section(run: RunWithData) -> Section:
    """Returns the commands, versions, seed and data checksums that repeat the run."""
    parts: list[Part] = []
    environment = _environment(run.folder)
    command = _command(environment.get("command"))
    if command:
        parts += [Text("The command of the run:"), Text(command, code=True)]
    parts.append(Text("The resolved config, with all defaults, gives the same weights on the same kind of machine:"))
    parts.append(Text(f"nnzoo train {shlex.quote(str(run.folder / CONFIG))}", code=True))
    versions = environment.get("versions")
    facts = {
        "seed": run.config.seed,
        **{name: environment.get(name) for name in ("device", "device_name", "num_threads", "num_processes")},
        "git commit": environment.get("git_commit"),
        "python": environment.get("python"),
        "platform": environment.get("platform"),
        **(versions if isinstance(versions, dict) else {}),
        **{f"data, {split} (SHA-256)": run.digests.get(split) for split in ("train", "val", "test")},
    }
    rows: list[list[Cell]] = [[name, str(value)] for name, value in facts.items() if value is not None]
    parts.append(TableOf("Environment", "", ["name", "value"], rows))
    file = run.folder / CONFIG
    if file.is_file():
        parts.append(Text(file.read_text(encoding="utf-8"), code=True))
    return Section("repeat", "How to repeat it", parts)


def _environment(folder: Path) -> dict[str, Any]:
    try:
        environment = json.loads((folder / ENVIRONMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return environment if isinstance(environment, dict) else {}


def _command(arguments: object) -> str:
    """Returns the command line of the run; empty if it was started from Python."""
    if not isinstance(arguments, list) or not arguments:
        return ""
    program, *rest = map(str, arguments)
    is_nnzoo = Path(program).name == "nnzoo" or Path(program).parts[-2:] == ("nnzoo", "__main__.py")
    return shlex.join(["nnzoo", *rest]) if is_nnzoo else ""
