"""Checks nnzoo on a GPU within eight minutes, and writes gpu_check.json and gpu_check.md.

scripts/gpu_check [--data FOLDER] [--minutes M] [--parts tests epochs ...] [--output DIR]

- tests: the tests that are marked `cuda`.
- epochs: the seconds per epoch of a hand-written loop (the limit), of nnzoo in fp32, in bf16-mixed, compiled and with
  CUDA graphs, and of Lightning and Keras if they are installed.
- precision: the seconds per epoch of `fashion_mnist_cnn` in fp32, in bf16-mixed, compiled and with CUDA graphs.
- accuracy: Fashion-MNIST to a test accuracy of .93: `fashion_mnist_cnn` with more and more epochs until one of them
  reaches it.

Each part runs in its own process with a time limit. A part that fails or takes too long is recorded, and the others
still run. Without a GPU, the same parts run in small on the CPU: they show that the script works, not how fast nnzoo
is. Without the files of Fashion-MNIST, synthetic images take their place, whose accuracy has no meaning.

Exit code: 0 if every part passed, else 1.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks import machine

from nnzoo.builders import build_dataset
from nnzoo.config import load_config
from nnzoo.errors import DataError
from nnzoo.folders import DATA_VARIABLE
from nnzoo.run.files import write_json, write_text

ROOT = Path(__file__).parents[1]
SHARES = {"tests": 0.3, "epochs": 0.3, "precision": 0.15, "accuracy": 0.25}
"""The share of the time that each part may take. What a part leaves over, the later ones may use."""
TARGET = 0.93
EPOCHS = (6, 10, 16, 24)
OPTIONAL = ["lightning", "keras"]
CONTENDERS = [["limit", "nnzoo", "nnzoo-bf16", *OPTIONAL], ["limit", "nnzoo-compile", "nnzoo-graphs"]]
GRAPHS = "bf16-mixed, CUDA graphs"
VARIANTS = {
    "fp32": ["train.precision=fp32"],
    "bf16-mixed": ["train.precision=bf16-mixed"],
    "bf16-mixed, compiled": ["train.precision=bf16-mixed", "train.compile=true"],
    GRAPHS: ["train.precision=bf16-mixed", "train.compile=cuda_graphs"],
}
SMALL_IMAGES, SMALL_SAMPLES = 500, 500
SYNTHETIC = "data={name: random, shape: [1, 28, 28], classes: 10, samples: %d, split: {val: 0.05}}"


class PartError(Exception):
    """A part failed; the message says why."""


@dataclass
class Check:
    """What the parts need to know.

    Attributes:
        device: "cuda" or "cpu".
        output: The folder of the results.
        data: The overrides that choose the images.
        is_synthetic: Whether the images are synthetic.
        deadline: The end of the current part, in seconds of the monotonic clock.
    """

    device: str
    output: Path
    data: list[str]
    is_synthetic: bool
    deadline: float = 0.0

    @property
    def is_small(self) -> bool:
        """Whether the parts run in small, because there is no GPU."""
        return self.device == "cpu"

    def run(self, command: list[str], *, may_fail: bool = False) -> str:
        """Runs a Python command until the end of the part, and returns its standard output.

        Raises:
            PartError: The command fails, unless `may_fail`, or takes too long.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise PartError("no time is left for it")
        with subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                out, error = process.communicate(timeout=left)
            except subprocess.TimeoutExpired:
                raise PartError(f"it was ended at its time limit, after {left:.0f} s") from None
            finally:
                with contextlib.suppress(ProcessLookupError):  # its own child processes, too
                    os.killpg(process.pid, signal.SIGKILL)
        if process.returncode and not may_fail:
            lines = (error.strip() or out.strip()).splitlines() or [f"exit code {process.returncode}"]
            raise PartError(lines[-1][:300])
        return out

    def train(self, overrides: list[str]) -> dict[str, Any]:
        """Trains fashion_mnist_cnn, and returns its result and the seconds of each epoch."""
        with tempfile.TemporaryDirectory(prefix="nnzoo-gpu-check-") as folder:
            start = time.monotonic()
            arguments = ["train", "fashion_mnist_cnn", *self.data, f"train.device={self.device}", *overrides]
            options = ["--runs-dir", folder, "--name", "run", "--json", "--quiet"]
            result: dict[str, Any] = json.loads(self.run(["-m", "nnzoo", *arguments, *options]))
            result["process_seconds"] = time.monotonic() - start
            with (Path(folder) / "run" / "metrics.csv").open(newline="", encoding="utf-8") as file:
                result["epoch_seconds"] = [float(row["seconds"]) for row in csv.DictReader(file)]
        return result


def run_tests(check: Check) -> dict[str, Any]:
    """Runs the tests that are marked `cuda`. On a CPU they are skipped."""
    marked = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.cuda" in path.read_text("utf-8")]
    report = check.output / "tests.xml"
    command = ["-m", "pytest", "-q", "-m", "cuda", "-n", "0", f"--junitxml={report}", "-p", "no:cacheprovider"]
    check.run([*command, *(str(path.relative_to(ROOT)) for path in marked)], may_fail=True)
    if not report.exists():
        raise PartError("pytest wrote no report. Is the extra dev installed?")
    cases = list(ET.parse(report).iter("testcase"))
    failed = [
        str(case.get("name")) for case in cases if case.find("failure") is not None or case.find("error") is not None
    ]
    skipped = sum(case.find("skipped") is not None for case in cases)
    found = {"passed": len(cases) - len(failed) - skipped, "skipped": skipped, "failed": failed}
    if failed:
        raise PartialError(f"{len(failed)} of {len(cases)} tests failed: {', '.join(failed[:5])}", found)
    if not check.is_small and not found["passed"]:
        raise PartialError("no test ran", found)
    return found


class PartialError(PartError):
    """A part failed, but has results.

    Args:
        message: Why it failed.
        found: Its results.
    """

    def __init__(self, message: str, found: dict[str, Any]) -> None:
        super().__init__(message)
        self.found = found


def measure_epochs(check: Check) -> dict[str, Any]:
    """Measures the seconds per epoch with scripts/benchmark.py, first of what needs no compilation."""
    rows: list[dict[str, Any]] = []
    for contenders in CONTENDERS:
        names = [name for name in contenders if not (check.is_small and name == "nnzoo-graphs")]
        try:
            _add_epochs(check, names, rows)
        except PartError as error:
            raise PartialError(str(error), {"rows": rows}) from None
    reasons = [f"{name}: {row['missing'][name]}" for row in rows for name in row["missing"] if name not in OPTIONAL]
    if reasons:
        raise PartialError("; ".join(reasons)[:300], {"rows": rows})
    return {"rows": rows}


def _add_epochs(check: Check, contenders: list[str], rows: list[dict[str, Any]]) -> None:
    """Adds the results of each network; of a measurement that failed or was ended, those of the finished networks."""
    folder = check.output / "epochs"
    file = folder / "benchmark.json"
    file.unlink(missing_ok=True)
    size = [f"--samples={SMALL_SAMPLES}", "--networks", "mlp"] if check.is_small else ["--networks", "mlp", "lenet"]
    options = ["--parts", "epochs", "--devices", check.device, "--rounds", "1" if check.is_small else "2"]
    try:
        check.run(["scripts/benchmark.py", *options, *size, "--contenders", ",".join(contenders), f"--output={folder}"])
    finally:
        if file.exists():
            for each in json.loads(file.read_text(encoding="utf-8"))["epochs"]:
                medians = {name: statistics.median(chain.from_iterable(turns)) for name, turns in each["turns"].items()}
                rows.append({"network": each["network"], "seconds": medians, "missing": each["missing"]})


def measure_precision(check: Check) -> dict[str, Any]:
    """Measures warm epochs of a convolutional network in each precision, compiled and not."""
    seconds: dict[str, float] = {}
    failures: dict[str, str] = {}
    for name, overrides in VARIANTS.items():
        if check.is_small and name == GRAPHS:
            continue  # on a CPU it is the same as compiled
        try:
            result = check.train([*overrides, "train.epochs=3"])
            seconds[name] = statistics.median(result["epoch_seconds"][1:])
        except PartError as error:
            failures[name] = str(error)
    found = {"seconds": seconds, "missing": failures}
    if failures:
        raise PartialError("; ".join(f"{name}: {reason}" for name, reason in failures.items())[:300], found)
    return found


def reach_accuracy(check: Check) -> dict[str, Any]:
    """Trains until a training reaches the target, with more epochs each time. In small, there is one short training."""
    precision = f"train.precision={'fp32' if check.is_small else 'bf16-mixed'}"
    tries: list[dict[str, Any]] = []
    failure = None
    for epochs in EPOCHS[:1] if check.is_small else EPOCHS:
        try:
            result = check.train([precision, f"train.epochs={2 if check.is_small else epochs}"])
        except PartError as error:
            failure = str(error)
            break
        accuracy = result["metrics"]["test/accuracy"]
        keys = ("epochs", "seconds", "process_seconds", "device")
        tries.append({"accuracy": accuracy, **{key: result[key] for key in keys}})
        if accuracy >= TARGET:
            break
    found = {"target": TARGET, "synthetic": check.is_synthetic, "tries": tries}
    if failure is not None:
        raise PartialError(failure, found)
    if not check.is_small and not check.is_synthetic and tries[-1]["accuracy"] < TARGET:
        raise PartialError(f"no training reached {TARGET} (best {max(each['accuracy'] for each in tries):.4f})", found)
    return found


PARTS: dict[str, Callable[[Check], dict[str, Any]]] = {
    "tests": run_tests,
    "epochs": measure_epochs,
    "precision": measure_precision,
    "accuracy": reach_accuracy,
}


def main() -> int:
    """Runs the parts, writes the results after each of them, and returns the exit code."""
    arguments = parse()
    output: Path = arguments.output.absolute()
    output.mkdir(parents=True, exist_ok=True)
    if arguments.data is not None:
        os.environ[DATA_VARIABLE] = str(arguments.data.absolute())
    facts = machine.describe(None)
    device = "cuda" if facts["gpu"] else "cpu"
    data, is_synthetic = images(device)
    check = Check(device, output, data, is_synthetic)
    note = "in small on the CPU, since there is no CUDA device; the times say nothing about a GPU"
    found: dict[str, Any] = {"machine": facts, "device": device, "note": note if check.is_small else "", "parts": {}}
    if is_synthetic:
        found["note"] += f"{'; ' * bool(found['note'])}synthetic images, since the files of Fashion-MNIST are not found"
    end = time.monotonic() + 60 * arguments.minutes
    left = sum(SHARES[name] for name in arguments.parts)
    for name in arguments.parts:
        start = time.monotonic()
        check.deadline = start + (end - start) * SHARES[name] / left
        left -= SHARES[name]
        print(f"{name}: at most {check.deadline - start:.0f} s", file=sys.stderr, flush=True)
        entry: dict[str, Any] = {"status": "passed", "reason": None}
        try:
            entry |= PARTS[name](check)
        except PartError as error:
            entry |= {"status": "failed", "reason": str(error), **getattr(error, "found", {})}
        entry["wall_seconds"] = round(time.monotonic() - start, 1)
        found["parts"][name] = entry
        found["passed"] = all(each["status"] == "passed" for each in found["parts"].values())
        write_json(output / "gpu_check.json", found)
        write_text(output / "gpu_check.md", table(found))
    print(table(found), end="")
    return 0 if found["passed"] else 1


def parse() -> argparse.Namespace:
    """Returns the parsed arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    help_data = f"folder with the files of Fashion-MNIST in fashion_mnist/; default: {DATA_VARIABLE}"
    parser.add_argument("--data", type=Path, metavar="FOLDER", help=help_data)
    parser.add_argument("--minutes", type=float, default=8.0, help="time of all parts together")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS])
    parser.add_argument("--output", type=Path, default=Path("runs/gpu_check"), metavar="DIR")
    arguments = parser.parse_args()
    if arguments.minutes <= 0:
        parser.error(f"--minutes: expected a positive number, got {arguments.minutes}")
    arguments.parts = [name for name in PARTS if name in arguments.parts]
    return arguments


def images(device: str) -> tuple[list[str], bool]:
    """Returns the overrides that choose the images, and whether these are synthetic."""
    limit = SMALL_IMAGES if device == "cpu" else None
    try:
        build_dataset(load_config("fashion_mnist_cnn", {"data.download": False, "data.limit": 200}))
    except DataError:
        return [SYNTHETIC % (limit or 60_000)], True
    return ["data.download=false", *([f"data.limit={limit}"] if limit else [])], False


def table(found: dict[str, Any]) -> str:
    """Returns the results as a table in Markdown."""
    facts = found["machine"]
    versions = facts["versions"]
    where = facts["gpu"] or facts["processor"]
    lines = [f"{where}, torch {versions.get('torch')}, nnzoo {versions.get('nnzoo')}, {facts['date']}"]
    lines += [f"Note: {found['note']}."] if found["note"] else []
    lines += ["", "| part | result | |", "| --- | --- | --- |"]
    for name, part in found["parts"].items():
        lines.append(f"| {name} | {part['status']} in {part['wall_seconds']:.0f} s | {part['reason'] or ''} |")
        lines += [f"| | {left} | {right} |" for left, right in _rows(name, part)]
    return "\n".join(lines) + "\n"


def _rows(name: str, part: dict[str, Any]) -> list[tuple[str, str]]:
    """Returns the results of a part, as pairs of a label and a text."""
    if name == "tests" and "passed" in part:
        return [("tests", f"{part['passed']} passed, {part['skipped']} skipped, {len(part['failed'])} failed")]
    if name == "epochs":
        return [
            (f"{row['network']}, {contender}", f"{seconds:.4f} s per epoch{_against(row['seconds'], contender)}")
            for row in part.get("rows", [])
            for contender, seconds in row["seconds"].items()
        ]
    if name == "precision":
        return [(variant, f"{seconds:.3f} s per epoch") for variant, seconds in part.get("seconds", {}).items()]
    return [
        (f"{each['epochs']} epochs", f"test accuracy {each['accuracy']:.4f} in {each['seconds']:.1f} s of training")
        for each in part.get("tries", [])
    ]


def _against(seconds: dict[str, float], name: str) -> str:
    limit = seconds.get("limit")
    return "" if name == "limit" or not limit else f", {seconds[name] / limit:.2f} times the limit"


if __name__ == "__main__":
    sys.exit(main())
