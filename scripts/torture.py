"""Kills trainings with SIGKILL and resumes them, until they have ended: as one that was never killed, to the last bit.

scripts/torture [--kills 50] [--seed 0] [--networks mlp cnn lstm] [--processes 2]

A training is killed either by itself, at a step or inside the writing of a file (before a write, amid one, around
fsync, link and rename), or by this process, which does so after it has seen a number of steps and thus at any
instruction of what comes next. Nothing depends on how long anything takes. Every kind of kill is drawn as often as any
other, and where it hits evenly over all places of that kind. Torch is imported once; each training is a fork, or
several that train together, of which one is killed.
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
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # torch left it so

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
MOST_KILLS_A_RUN = 6
GONE = "a process of the group ended"


class Points:
    """Counts the places that a training passes, and kills it at one of them.

    Args:
        kind: Of the place.
        number: Which of them, from 1; 0: none.
        seen: Gets a byte a step.
    """

    def __init__(self, kind: str, number: int, seen: int) -> None:
        self.kind, self.number, self.seen = kind, number, seen
        self.passed: Counter[str] = Counter()

    def is_fatal(self, kind: str) -> bool:
        """Counts a place; whether it is the one."""
        self.passed[kind] += 1
        return kind == self.kind and self.passed[kind] == self.number

    def here(self, kind: str) -> None:
        """Counts a place, and dies there if it is the one."""
        if self.is_fatal(kind):
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, module: Any, name: str) -> None:
        """Puts a place before and one after each call of a function."""
        plain: Callable[..., Any] = getattr(module, name)

        def call(*arguments: Any, **options: Any) -> Any:
            self.here(f"before {name}")
            result = plain(*arguments, **options)
            self.here(f"after {name}")
            return result

        setattr(module, name, call)

    def install(self) -> None:
        """Puts the places into this process."""
        points = self

        class Writer(io.BufferedWriter):
            def write(self, data: Any) -> int:
                if points.is_fatal("amid a write"):
                    super().write(memoryview(data).cast("B")[: memoryview(data).nbytes // 2])
                    self.flush()
                    os.kill(os.getpid(), signal.SIGKILL)
                return super().write(data)

        plain = Progress.step

        def step(self: Progress) -> None:
            plain(self)
            os.write(points.seen, b".")
            points.here("a step")

        Progress.step = step  # type: ignore[method-assign]
        os.fdopen = lambda handle, *_: Writer(io.FileIO(handle, "wb"))  # type: ignore[assignment]
        for name in ("fsync", "replace", "link"):
            self.around(os, name)
        # Otherwise no run here would live long enough for a checkpoint between its first and its last.
        checkpoints.MIN_SECONDS_BETWEEN_CHECKPOINTS = 0.0


def train(
    config: Path, runs: Path, kind: str = "", number: int = 0, *, processes: int = 1, victim: int = 0
) -> list[Counter[str]] | None:
    """One life of a training, in a process of its own, or in several.

    Args:
        config: Its file.
        runs: Where its run directory is.
        kind: Of the place where it is killed.
        number: Which of them.
        processes: How many train together.
        victim: Which of them is killed.

    Returns:
        How many places of each kind each process passed; None if one was killed.
    """
    reader, writer = os.pipe()
    nobody = os.open(os.devnull, os.O_WRONLY)
    store = TCPStore("localhost", 0, is_master=True, wait_for_workers=False) if processes > 1 else None
    children, results = [], []
    for rank in range(processes):
        result, report = os.pipe()
        child = os.fork()
        if not child:
            if store is not None:
                _join(rank, processes, store.port)
            is_victim = rank == victim
            points = Points(kind if is_victim else "", number, writer if is_victim else nobody)
            _live(config, runs, points, report)
        os.close(report)
        children.append(child)
        results.append(result)
    os.close(writer)
    os.close(nobody)
    steps = 0
    while seen := os.read(reader, 1):
        steps += len(seen)
        if kind == FROM_OUTSIDE and steps == number:
            os.kill(children[victim], signal.SIGKILL)
    said = [os.fdopen(result).read() for result in results]
    os.close(reader)
    status = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if status[victim] == -signal.SIGKILL:
        # Who is left notices, or had nothing to do any more.
        left = [code for rank, code in enumerate(status) if rank != victim]
        # One of them says so for all.
        if not set(left) <= {0, 1} or (any(left) and GONE not in "".join(said)):
            raise SystemExit(f"a process that was left failed: {status} {said}")
        return None
    if any(status):
        raise SystemExit(f"a training failed: {status} {said}")
    return [Counter(json.loads(text)) for text in said]


def _join(rank: int, processes: int, port: int) -> None:
    """What torchrun says to a process that it starts."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes)}
    os.environ |= {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True"}


def _live(config: Path, runs: Path, points: Points, report: int) -> None:
    error = io.StringIO()
    try:
        plain = os.fdopen
        points.install()
        sys.stdout = sys.stderr = error
        code = command(["train", str(config), "-q", "--runs-dir", str(runs), "--resume"])
        with plain(report, "w") as file:
            file.write(json.dumps(points.passed) if code == 0 else error.getvalue())
    except BaseException as failed:  # nothing may go on as the parent
        os.write(report, repr(failed).encode())
        code = 1
    os._exit(code)


def outcome(folder: Path) -> dict[str, Any]:
    """What a run came to, but for its times."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]
    result = json.loads((folder / "result.json").read_text())
    return {
        "best.safetensors": (folder / "best.safetensors").read_bytes(),
        "metrics.csv": rows,
        "result.json": {key: value for key, value in result.items() if key not in ("seconds", "run_dir")},
        "predictions.csv": (folder / "predictions.csv").read_bytes(),
        "leftovers": sorted(file.name for file in folder.glob(".*")),
    }


def torture(name: str, kills: int, seed: int, folder: Path, processes: int) -> tuple[int, Counter[str]]:
    """Kills trainings of one network, each of so many processes, at least `kills` times.

    Returns:
        How many runs that were, and how often they were killed at each kind of place.
    """
    config = folder / f"{name}.json"
    config.write_text(json.dumps({"name": "x", "seed": seed, **NETWORKS[name]}))
    # Whatever is imported late is imported here.
    with contextlib.redirect_stdout(io.StringIO()):
        command(["train", str(config), "-q", "--dry-run"])
    places = train(config, folder / "whole", processes=processes)
    assert places is not None
    for each in places:
        each[FROM_OUTSIDE] = each["a step"]
    expected = outcome(folder / "whole/x")
    drawn = random.Random(f"{seed} {name}")
    runs, killed = 0, Counter[str]()
    while killed.total() < kills:
        runs += 1
        here = folder / f"run{runs}"
        for _ in range(drawn.randint(1, MOST_KILLS_A_RUN)):
            victim = drawn.randrange(processes)
            kind = drawn.choice(sorted(places[victim]))
            number = drawn.randint(1, places[victim][kind])
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
    """Tortures each network and says what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="of each network, at least")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1, help="that train together")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=[*NETWORKS])
    arguments = parser.parse_args()
    # A thread pool does not outlive a fork.
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
            f"{name}: {killed.total()} kills of {runs} runs, all as the whole one ({where}; {seconds:.0f} s)",
            flush=True,
        )
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
