"""Measures what the probes (`train.probes`) add to an epoch of the networks of `scripts/benchmark`.

A sampled and a plain step of one training take turns in one process, in alternating order. The median of their
differences, relative to the median plain step and times the share of steps that are sampled, is what the probes add to
the steps of an epoch. Validation, which has no probes, is not counted, so the share of an entire epoch is smaller.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from benchmarks.workloads import NETWORKS, write_samples

from nnzoo.config import load_config
from nnzoo.experiment.prepare import prepare
from nnzoo.experiment.train.start import build_state
from nnzoo.training.batches.order import boundaries
from nnzoo.training.health.probe import INTERVAL, is_sampled
from nnzoo.training.loop import NOT_PROBED
from nnzoo.training.single import SingleLearner


def main() -> None:
    """Prints one line per network and batch size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[32, 64])
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--pairs", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.networks:
        for batch_size in options.batch_sizes:
            num_steps = -(-options.samples // batch_size)
            later = range(INTERVAL, INTERVAL + num_steps * 20)
            share = sum(is_sampled(step, num_steps) for step in later) / len(later)
            plain, added, end = measure(name, batch_size, options.pairs)
            cost = share * added / plain + end / (num_steps * plain)
            print(
                f"{NETWORKS[name].title}, batch size {batch_size}: {100 * cost:.2f} % (a step takes {1e6 * plain:.0f} "
                f"us, a sampled one {1e6 * added:.0f} us more, {100 * share:.2f} % of the steps are sampled; the end "
                f"of an epoch takes {1e6 * end:.0f} us more), load {os.getloadavg()[0]:.1f}",
                flush=True,
            )


def measure(name: str, batch_size: int, pairs: int) -> tuple[float, float, float]:
    """Returns the processor time of a plain step, and what a sampled step and the end of an epoch take more."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.npz"
        write_samples(path, NETWORKS[name].shape, 20 * batch_size, 1000)
        section: dict[str, Any] = {
            "data": {"name": "arrays", "path": str(path), "split": {"test": 0}},
            "model": NETWORKS[name].section,
            "optimizer": {"name": "adam", "lr": 1e-3},
            "train": {"batch_size": batch_size, "device": "cpu", "num_threads": 1},
        }
        experiment = prepare(load_config(section))
    settings, split = experiment.settings, experiment.splits["train"]
    learner = SingleLearner(build_state(experiment, None, show=lambda _: None)[0])
    learner.network.train()
    batches = boundaries(len(split), batch_size)
    ends = []
    times: dict[bool, list[float]] = {True: [], False: []}
    for number in range(pairs + 10):
        with learner.read_batches(split, batches[number % 10 * 2 :][:2], settings) as reader:
            for is_sampled_step in (True, False) if number % 2 else (False, True):
                batch = [next(reader)]
                start = time.process_time()
                with learner.probes.recording(number + 1) if is_sampled_step else NOT_PROBED:
                    learner.train_step(batch, settings)
                times[is_sampled_step].append(time.process_time() - start)
        if number % 4 == 3:
            start = time.process_time()
            learner.probes.end_epoch(number, num_samples=len(split))
            learner.probes.report()
            ends.append(time.process_time() - start)
    plain = statistics.median(times[False][10:])
    differences = [one - other for one, other in zip(times[True][10:], times[False][10:], strict=True)]
    return plain, statistics.median(differences), statistics.median(ends)


if __name__ == "__main__":
    main()
