"""Measures nnzoo beside what it could be at best and beside other frameworks, and writes a table and a plot.

scripts/benchmark [--parts epochs processes ..] [--networks small mlp ..] [--batch-sizes 64 full ..] [--output DIR]

Seconds an epoch of the limit (a loop by hand with the fastest settings known), of `nnzoo train`, and of a DataLoader
loop, Ignite, skorch, Lightning, fastai and Keras, where they are installed: each in a process of its own, by turns,
with the same samples. Then whole processes, time by size, memory, and on Fashion-MNIST
the usual pipeline. With CUDA all epochs are measured there too, nnzoo also in mixed precision and compiled.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import epochs, machine, memory, pipeline, plot, processes, report, scaling
from benchmarks.commands import CommandError
from benchmarks.contenders import DISTRIBUTIONS, VARIANTS
from benchmarks.workloads import NETWORKS

from nnzoo.run.cores import available_cores

PARTS = ("epochs", "pipeline", "processes", "scaling", "memory", "large")


def main() -> None:
    """Measures what was asked for and writes benchmark.json, benchmark.md and benchmark.png."""
    arguments = parse()
    if arguments.threads:
        # Before anything imports torch, here or in a process that is started from here.
        os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(arguments.threads)
    arguments.output.mkdir(parents=True, exist_ok=True)
    found = start(arguments)
    if "epochs" in arguments.parts:
        for result in measure_epochs(arguments, found["machine"], found["skipped"]):
            key = (result.network, result.batch_size, result.device)
            others = [each for each in found["epochs"] if (each["network"], each["batch_size"], each["device"]) != key]
            found["epochs"] = [*others, result.as_dict()]
            keep(found, arguments.output)
    for part, measure in other_parts(arguments, found).items():
        say(part)
        try:
            with tempfile.TemporaryDirectory(prefix="nnzoo-benchmark-") as folder:
                found[part] = measure(Path(folder))
        except CommandError as error:  # the rest is not lost for it
            found["skipped"][part] = str(error)
        keep(found, arguments.output)
    drawn = plot.draw(found, arguments.output / "benchmark.png")
    if not drawn:
        found["skipped"]["plot"] = "nothing to draw, or matplotlib is not installed"
    text = report.write(found, arguments.output / "benchmark.md")
    if arguments.page:
        report.put_into_page(found, Path(__file__).parents[1] / "docs" / "performance.md")
    print(text)


def start(arguments: argparse.Namespace) -> dict[str, Any]:
    """What nothing is measured of yet; with --add what the folder has, where it is of the same machine."""
    facts = machine.describe(arguments.threads)
    file = arguments.output / "benchmark.json"
    if arguments.add and file.exists():
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if found["samples"] == arguments.samples and {**found["machine"], "date": facts["date"]} == facts:
            return {**found, "machine": facts, "skipped": {}}
        say(f"{file}: of another machine or other samples; it is replaced")
    return {"machine": facts, "samples": arguments.samples, "epochs": [], "skipped": {}}


def keep(found: dict[str, Any], output: Path) -> None:
    """Writes benchmark.json, after every measurement: an hour of them is not lost with the last."""
    (output / "benchmark.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    """The arguments, checked."""
    names = [*DISTRIBUTIONS, *VARIANTS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=[*NETWORKS])
    parser.add_argument("--batch-sizes", nargs="+", type=batch_size, default=[64], help="numbers, or full")
    parser.add_argument("--contenders", type=lambda text: text.split(","), default=names, help=", ".join(names))
    parser.add_argument("--rounds", type=positive, default=5, help="turns of each contender")
    parser.add_argument(
        "--threads", type=positive, help="of each; default: as many as each takes by itself, nnzoo by its own rule"
    )
    parser.add_argument("--samples", type=positive, default=20_000, help="of training; a fifth as many validate")
    parser.add_argument("--fashion-mnist", type=Path, metavar="DIR", help="its four idx files, packed or not")
    parser.add_argument("--table", type=Path, metavar="CONFIG", help="its data is a CSV; default: one that is made up")
    parser.add_argument("--large-gigabytes", type=float, default=0.0, help="of the folder of .npy files; 0: none")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmark"), metavar="DIR")
    parser.add_argument("--add", action="store_true", help="keep what DIR has of this machine and is not measured now")
    parser.add_argument("--page", action="store_true", help="put the table into docs/performance.md")
    arguments = parser.parse_args()
    unknown = set(arguments.contenders) - set(names)
    if unknown:
        parser.error(f"--contenders: there is no {', '.join(sorted(unknown))} ({', '.join(names)})")
    return arguments


def positive(text: str) -> int:
    """A whole number from 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text}")
    return number


def batch_size(text: str) -> int | None:
    """A number, or None for full."""
    return None if text == "full" else positive(text)


def measure_epochs(
    arguments: argparse.Namespace, facts: dict[str, Any], skipped: dict[str, str]
) -> Iterator[epochs.Result]:
    """Every network at every batch size, on the CPU and on a GPU if there is one."""
    if not facts["gpu"]:
        skipped["CUDA, mixed precision, compile"] = "there is no CUDA device"
    for device in ["cpu", "cuda"] if facts["gpu"] else ["cpu"]:
        contenders = [name for name in arguments.contenders if device == "cuda" or name not in VARIANTS]
        for size in arguments.batch_sizes:
            for network in arguments.networks:
                say(f"epochs: {NETWORKS[network].title}, {epochs.describe(size, arguments.samples)}, {device}")
                yield epochs.measure(
                    network,
                    size,
                    device,
                    contenders=contenders,
                    rounds=arguments.rounds,
                    samples=arguments.samples,
                    say=say,
                )


def other_parts(arguments: argparse.Namespace, found: dict[str, Any]) -> dict[str, Callable[[Path], dict[str, Any]]]:
    """By name, the measurements besides epochs that were asked for and can be made; the others' reasons are noted."""
    images, rounds = arguments.fashion_mnist, arguments.rounds
    skipped: dict[str, str] = {}
    parts: dict[str, Callable[[Path], dict[str, Any]]] = {
        "pipeline": lambda folder: pipeline.measure(images, min(rounds, 3), available_cores(), folder),
        "processes": lambda folder: processes.measure(arguments.table, rounds, folder),
        "scaling": lambda folder: scaling.measure(folder, min(rounds, 3)),
        "memory": lambda folder: memory.measure_images(images, folder),
        "large": lambda folder: memory.measure_large(arguments.large_gigabytes, folder),
    }
    for part in ("pipeline", "memory"):
        if images is None or not pipeline.has_files(images):
            skipped[part] = "--fashion-mnist names no folder with its four files"
    if arguments.large_gigabytes <= 0:
        skipped["large"] = "--large-gigabytes is 0"
    for part in PARTS:
        if part not in arguments.parts:
            skipped[part] = "not among --parts"
    measured = {part for part in PARTS if found.get(part)}
    found["skipped"] |= {part: reason for part, reason in skipped.items() if part not in measured}
    return {name: measure for name, measure in parts.items() if name not in skipped}


def say(line: str) -> None:
    """How far it is."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
