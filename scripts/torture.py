"""Kills trainings with SIGKILL and resumes them: they must end bit for bit like a training that was never killed.

scripts/torture [--kills 50] [--seed 0] [--networks mlp cnn lstm] [--processes 2]

A training either kills itself, at a step or while it writes a file (before or halfway through a write, around fsync,
link and rename), or is killed by this process after a number of steps, at an arbitrary instruction of the next step.
Nothing depends on timing. All kinds of kills are equally likely, and so are all places of a kind. Torch is imported
once; each training is a fork, or several forks in one process group, of which one is killed.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # not exported by torch

from nnzoo.cli.app import run as command
from nnzoo.training import checkpoints
from nnzoo.training.progress import Progress

TRAIN = {
    "epochs": 4,
    "batch_size": 32,
    "early_stopping": {"patience": 3},
    "checkpoint": {"every_epochs": 1, "every_steps": 2, "every_minutes": None},
}
NETWORKS: dict[str, dict[str, Any]] = {
    "mlp": {
        "data": {"name": "blobs", "samples": 240, "noise": 3.0},
        "augment": [{"name": "noise", "sigma": 0.3}, {"name": "mixup"}],
        "model": {"name": "mlp", "hidden": [24, 16], "dropout": 0.3},
        "optimizer": {"name": "adamw", "lr": 0.01},
        "train": TRAIN,
    },
    "cnn": {
        "data": {"name": "random", "shape": [1, 8, 8], "classes": 3, "samples": 200},
        "model": {
            "name": "cnn",
            "blocks": [
                {"conv": {"out_channels": 6, "kernel_size": 3, "padding": 1, "batch_norm": True}},
                {"pool": {"kind": "max", "kernel_size": 2}},
                {"conv": {"out_channels": 8, "kernel_size": 3, "batch_norm": True}},
                {"global_pool": "avg"},
            ],
        },
        "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True},
        "train": TRAIN,
    },
    "lstm": {
        "data": {"name": "adding", "samples": 200, "length": 12},
        "model": {"name": "lstm", "hidden_size": 12, "num_layers": 2, "dropout": 0.2},
        "optimizer": {"name": "adam", "lr": 0.01},
        "scheduler": {"name": "one_cycle", "max_lr": 0.02, "interval": "step"},
        "train": {**TRAIN, "clip_grad_norm": 1.0},
    },
}
FROM_OUTSIDE = "from outside"
MAX_KILLS_PER_RUN = 6
PEER_ENDED = "a process of the group ended"


class Points:
    """Counts the places that a training passes, and kills it at one of them.

    Args:
        kind: The kind of place.
        number: The number of the place among those of its kind, from 1; 0: do not kill.
        step_pipe: A file descriptor that gets one byte per step.
    """

    def __init__(self, kind: str, number: int, step_pipe: int) -> None:
        self.kind, self.number, self.step_pipe = kind, number, step_pipe
        self.passed: Counter[str] = Counter()

    def is_fatal(self, kind: str) -> bool:
        """Counts a place and returns whether it is the one to kill at."""
        self.passed[kind] += 1
        return kind == self.kind and self.passed[kind] == self.number

    def here(self, kind: str) -> None:
        """Counts a place and kills the process there if it is the one."""
        if self.is_fatal(kind):
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, module: Any, name: str) -> None:
        """Adds a place before and after each call of a function."""
        plain: Callable[..., Any] = getattr(module, name)

        def call(*arguments: Any, **options: Any) -> Any:
            self.here(f"before {name}")
            result = plain(*arguments, **options)
            self.here(f"after {name}")
            return result

        setattr(module, name, call)

    def install(self) -> None:
        """Patches this process to pass the places."""
        points = self

        class Writer(io.BufferedWriter):
            def write(self, data: Any) -> int:
                if points.is_fatal("at half of a write"):
                    super().write(memoryview(data).cast("B")[: memoryview(data).nbytes // 2])
                    self.flush()
                    os.kill(os.getpid(), signal.SIGKILL)
                return super().write(data)

        plain = Progress.step

        def step(self: Progress) -> None:
            plain(self)
            os.write(points.step_pipe, b".")
            points.here("a step")

        Progress.step = step  # type: ignore[method-assign]
        os.fdopen = lambda handle, *_: Writer(io.FileIO(handle, "wb"))  # type: ignore[assignment]
        for name in ("fsync", "replace", "link"):
            self.around(os, name)
        # Otherwise runs would be too short for checkpoints between the first and the last.
        checkpoints.MIN_SECONDS_BETWEEN_CHECKPOINTS = 0.0


def train(
    config: Path, runs: Path, kind: str = "", number: int = 0, *, processes: int = 1, victim: int = 0
) -> list[Counter[str]] | None:
    """Runs a training in one or more new processes until it ends or is killed.

    Args:
        config: The config file.
        runs: The folder of the run directory.
        kind: The kind of place to kill it at.
        number: The number of the place.
        processes: The number of processes in the group.
        victim: The rank to kill.

    Returns:
        The number of places of each kind that each process passed; None if one was killed.
    """
    reader, writer = os.pipe()
    devnull = os.open(os.devnull, os.O_WRONLY)
    store = TCPStore("localhost", 0, is_master=True, wait_for_workers=False) if processes > 1 else None
    children, results = [], []
    for rank in range(processes):
        result, report = os.pipe()
        child = os.fork()
        if not child:
            if store is not None:
                _set_environment(rank, processes, store.port)
            is_victim = rank == victim
            points = Points(kind if is_victim else "", number, writer if is_victim else devnull)
            _run_child(config, runs, points, report)
        os.close(report)
        children.append(child)
        results.append(result)
    os.close(writer)
    os.close(devnull)
    steps = 0
    while chunk := os.read(reader, 1):
        steps += len(chunk)
        if kind == FROM_OUTSIDE and steps == number:
            os.kill(children[victim], signal.SIGKILL)
    outputs = [os.fdopen(result).read() for result in results]
    os.close(reader)
    status = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if status[victim] == -signal.SIGKILL:
        left = [code for rank, code in enumerate(status) if rank != victim]
        # The other processes either notice it, and one of them prints the error, or had finished already.
        if not set(left) <= {0, 1} or (any(left) and PEER_ENDED not in "".join(outputs)):
            raise SystemExit(f"a remaining process failed: {status} {outputs}")
        return None
    if any(status):
        raise SystemExit(f"a training failed: {status} {outputs}")
    return [Counter(json.loads(text)) for text in outputs]


def _set_environment(rank: int, processes: int, port: int) -> None:
    """Sets the environment variables that torchrun sets."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes)}
    os.environ |= {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True"}


def _run_child(config: Path, runs: Path, points: Points, report: int) -> None:
    error = io.StringIO()
    try:
        plain = os.fdopen
        points.install()
        sys.stdout = sys.stderr = error
        code = command(["train", str(config), "-q", "--runs-dir", str(runs), "--resume"])
        with plain(report, "w") as file:
            file.write(json.dumps(points.passed) if code == 0 else error.getvalue())
    except BaseException as failed:  # the fork must never continue as the parent
        os.write(report, repr(failed).encode())
        code = 1
    os._exit(code)


def outcome(folder: Path) -> dict[str, Any]:
    """Returns the results of a run, without times."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]
    result = json.loads((folder / "result.json").read_text())
    return {
        "best.safetensors": (folder / "best.safetensors").read_bytes(),
        "metrics.csv": rows,
        "result.json": {key: value for key, value in result.items() if key not in ("seconds", "run_dir")},
        "health.csv": (folder / "health.csv").read_bytes(),
        "predictions.csv": (folder / "predictions.csv").read_bytes(),
        "leftovers": sorted(file.name for file in folder.glob(".*")),
    }


def torture(name: str, kills: int, seed: int, folder: Path, processes: int) -> tuple[int, Counter[str]]:
    """Kills trainings of one network at least `kills` times.

    Returns:
        The number of runs, and the number of kills at each kind of place.
    """
    config = folder / f"{name}.json"
    config.write_text(json.dumps({"name": "x", "seed": seed, **NETWORKS[name]}))
    # Trigger all lazy imports before forking.
    with contextlib.redirect_stdout(io.StringIO()):
        command(["train", str(config), "-q", "--dry-run"])
    places = train(config, folder / "whole", processes=processes)
    assert places is not None
    for each in places:
        each[FROM_OUTSIDE] = each["a step"]
    expected = outcome(folder / "whole/x")
    rng = random.Random(f"{seed} {name}")
    runs, killed = 0, Counter[str]()
    while killed.total() < kills:
        runs += 1
        here = folder / f"run{runs}"
        for _ in range(rng.randint(1, MAX_KILLS_PER_RUN)):
            victim = rng.randrange(processes)
            kind = rng.choice(sorted(places[victim]))
            number = rng.randint(1, places[victim][kind])
            if train(config, here, kind, number, processes=processes, victim=victim) is not None:
                break
            killed[f"{kind} of rank {victim}" if processes > 1 else kind] += 1
        train(config, here, processes=processes)
        found = outcome(here / "x")
        different = [file for file in expected if expected[file] != found[file]]
        if different:
            raise SystemExit(f"{name}, seed {seed}: run {runs} differs in {', '.join(different)}. It is kept in {here}")
    return runs, killed


def main() -> None:
    """Tortures each network and prints the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="minimum number of kills per network")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1, help="number of processes in the group")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=[*NETWORKS])
    arguments = parser.parse_args()
    # A thread pool does not survive a fork.
    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp(prefix="nnzoo-torture-"))
    for name in arguments.networks:
        start = time.monotonic()
        below = folder / name
        below.mkdir()
        runs, killed = torture(name, arguments.kills, arguments.seed, below, arguments.processes)
        where = ", ".join(f"{count} {kind}" for kind, count in sorted(killed.items()))
        seconds = time.monotonic() - start
        print(
            f"{name}: {killed.total()} kills in {runs} runs, all results identical ({where}; {seconds:.0f} s)",
            flush=True,
        )
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
