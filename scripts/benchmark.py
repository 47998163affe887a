"""Compares nnzoo with a hand-written training loop and with other frameworks, and writes tables and a plot.

scripts/benchmark [--parts epochs processes ...] [--networks small mlp ...] [--batch-sizes 64 full ...] [--output DIR]

Measures the seconds per epoch of the limit (a hand-written loop with the fastest settings known), of `nnzoo train`, and
of a DataLoader loop, Ignite, skorch, Lightning, fastai and Keras if they are installed. Each contender runs in its own
process, takes turns with the others, and trains on the same samples. Further parts measure entire processes, time per
sample by size of the data, memory, and the usual torchvision pipeline on Fashion-MNIST. With CUDA, all epochs are also
measured on the GPU, with nnzoo also in mixed precision and compiled.
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
    """Runs the selected parts and writes benchmark.json, benchmark.md and benchmark.png."""
    arguments = parse()
    if arguments.threads:
        # Set before torch is imported, in this process or in a child process.
        os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(arguments.threads)
    arguments.output.mkdir(parents=True, exist_ok=True)
    found = load_results(arguments)
    if "epochs" in arguments.parts:
        for result in measure_epochs(arguments, found["machine"], found["skipped"]):
            key = (result.network, result.batch_size, result.device)
            others = [each for each in found["epochs"] if (each["network"], each["batch_size"], each["device"]) != key]
            found["epochs"] = [*others, result.as_dict()]
            save(found, arguments.output)
    for part, measure in selected_parts(arguments, found).items():
        say(part)
        try:
            with tempfile.TemporaryDirectory(prefix="nnzoo-benchmark-") as folder:
                found[part] = measure(Path(folder))
        except CommandError as error:  # continue with the other parts
            found["skipped"][part] = str(error)
        save(found, arguments.output)
    drawn = plot.draw(found, arguments.output / "benchmark.png")
    if not drawn:
        found["skipped"]["plot"] = "nothing to draw, or matplotlib is not installed"
    text = report.write(found, arguments.output / "benchmark.md")
    if arguments.page:
        report.put_into_page(found, Path(__file__).parents[1] / "docs" / "performance.md")
    print(text)


def load_results(arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns empty results, or with --add the results in the output folder if they are from the same machine."""
    facts = machine.describe(arguments.threads)
    file = arguments.output / "benchmark.json"
    if arguments.add and file.exists():
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if found["samples"] == arguments.samples and {**found["machine"], "date": facts["date"]} == facts:
            return {**found, "machine": facts, "skipped": {}}
        say(f"{file}: from another machine or with other samples; it is replaced")
    return {"machine": facts, "samples": arguments.samples, "epochs": [], "skipped": {}}


def save(found: dict[str, Any], output: Path) -> None:
    """Writes benchmark.json. It is called after every measurement, so that a failure does not lose the earlier ones."""
    (output / "benchmark.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    """Returns the parsed and checked arguments."""
    names = [*DISTRIBUTIONS, *VARIANTS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=[*NETWORKS])
    parser.add_argument("--batch-sizes", nargs="+", type=batch_size, default=[64], help="numbers, or full")
    parser.add_argument("--devices", nargs="+", choices=["cpu", "cuda"], help="default: all that exist")
    parser.add_argument("--contenders", type=lambda text: text.split(","), default=names, help=", ".join(names))
    parser.add_argument("--rounds", type=positive, default=5, help="number of turns per contender")
    parser.add_argument(
        "--threads", type=positive, help="threads per contender; default: the default of each contender"
    )
    parser.add_argument(
        "--samples",
        type=positive,
        default=20_000,
        help="number of training samples; a fifth as many are used for validation",
    )
    parser.add_argument(
        "--fashion-mnist", type=Path, metavar="DIR", help="folder of the four idx files, may be gzipped"
    )
    parser.add_argument(
        "--table", type=Path, metavar="CONFIG", help="config whose data is a CSV; default: a synthetic table"
    )
    parser.add_argument(
        "--large-gigabytes", type=float, default=0.0, help="size of the folder of .npy files; 0: skip this part"
    )
    parser.add_argument("--output", type=Path, default=Path("runs/benchmark"), metavar="DIR")
    parser.add_argument(
        "--add", action="store_true", help="keep the results in DIR that are from this machine and not measured now"
    )
    parser.add_argument("--page", action="store_true", help="write the tables to docs/performance.md")
    arguments = parser.parse_args()
    unknown = set(arguments.contenders) - set(names)
    if unknown:
        parser.error(f"--contenders: unknown: {', '.join(sorted(unknown))} ({', '.join(names)})")
    return arguments


def positive(text: str) -> int:
    """Parses a positive integer."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a positive integer, got {text}")
    return number


def batch_size(text: str) -> int | None:
    """Parses a batch size; None for full."""
    return None if text == "full" else positive(text)


def measure_epochs(
    arguments: argparse.Namespace, facts: dict[str, Any], skipped: dict[str, str]
) -> Iterator[epochs.Result]:
    """Yields the results of every network at every batch size, on the CPU and on a GPU if there is one."""
    if not facts["gpu"]:
        skipped["CUDA, mixed precision, compile"] = "there is no CUDA device"
    for device in arguments.devices or (["cpu", "cuda"] if facts["gpu"] else ["cpu"]):
        # On a CPU, the variants are measured only if it is asked for explicitly.
        has_variants = device == "cuda" or arguments.devices
        contenders = [name for name in arguments.contenders if has_variants or name not in VARIANTS]
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


def selected_parts(arguments: argparse.Namespace, found: dict[str, Any]) -> dict[str, Callable[[Path], dict[str, Any]]]:
    """Returns the functions of the selected parts except epochs, by name, and records why others are skipped."""
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
            skipped[part] = "--fashion-mnist is not a folder with the four files"
    if arguments.large_gigabytes <= 0:
        skipped["large"] = "--large-gigabytes is 0"
    for part in PARTS:
        if part not in arguments.parts:
            skipped[part] = "not among --parts"
    measured = {part for part in PARTS if found.get(part)}
    found["skipped"] |= {part: reason for part, reason in skipped.items() if part not in measured}
    return {name: measure for name, measure in parts.items() if name not in skipped}


def say(line: str) -> None:
    """Prints a line of progress."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
