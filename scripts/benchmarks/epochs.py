"""Seconds per epoch. The contenders take turns, so that other load on the machine affects all of them."""

from __future__ import annotations

import functools
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.commands import CommandError
from benchmarks.contenders import VARIANTS
from benchmarks.contenders import nnzoo as command_line
from benchmarks.laps import Contender, Epoch, Failure
from benchmarks.workloads import NETWORKS, SCALE_OF_SINGLES, Job, samples_at, write_samples

EPOCHS_PER_TURN = 3


@dataclass
class Result:
    """The results of one network at one batch size on one device.

    Attributes:
        network, device: The names of the network and the device.
        batch_size: The batch size; None for all samples.
        scale: The factor of the seconds, so that they are for as many samples as at the other batch sizes.
        turns: By contender, the seconds of the epochs of each turn, not scaled.
        accuracy: By contender, the accuracy of the last epoch of the first turn, which is epoch 4.
        missing: By contender, why it was not measured.
    """

    network: str
    device: str
    batch_size: int | None
    scale: int
    turns: dict[str, list[list[float]]]
    accuracy: dict[str, float]
    missing: dict[str, str]

    def seconds(self, name: str) -> float:
        """Returns the median seconds per epoch."""
        return self.scale * statistics.median(second for turn in self.turns[name] for second in turn)

    def ratio(self, name: str, to: str) -> float:
        """Returns the ratio to another contender: the median over rounds of the ratio within each round."""
        pairs = zip(self.turns[name], self.turns[to], strict=True)
        return statistics.median(statistics.median(mine) / statistics.median(other) for mine, other in pairs)

    def as_dict(self) -> dict[str, Any]:
        """Returns the result as a dict for JSON."""
        return asdict(self)


Turn = Callable[[int], list[Epoch]]


def measure(
    network: str,
    batch_size: int | None,
    device: str,
    *,
    contenders: Sequence[str],
    rounds: int,
    samples: int,
    say: Callable[[str], None],
) -> Result:
    """Lets the contenders take turns of `EPOCHS_PER_TURN` epochs, in a different order in each round."""
    train_samples = samples_at(batch_size, samples)
    result = Result(network, device, batch_size, samples // train_samples if batch_size == 1 else 1, {}, {}, {})
    with tempfile.TemporaryDirectory(prefix="nnzoo-benchmark-") as temporary:
        folder = Path(temporary)
        job = Job(network, batch_size, folder / "samples.npz", device)
        write_samples(job.data, NETWORKS[network].shape, train_samples, max(1, train_samples // 5))
        running: dict[str, Contender] = {}
        turns: dict[str, Turn] = {}
        try:
            for name in contenders:
                if name == "nnzoo" or name in VARIANTS:
                    overrides = VARIANTS.get(name, [])
                    turns[name] = functools.partial(command_line.turn, job, overrides=overrides, folder=folder)
                else:
                    running[name] = Contender(name, job)
                    turns[name] = running[name].turn
            for contender in running.values():
                contender.warm_up()
            for number in range(rounds):
                order = [*contenders[number % len(contenders) :], *contenders[: number % len(contenders)]]
                for name in order:
                    _take_turn(name, turns[name], running.get(name), result, say)
        finally:
            for contender in running.values():
                contender.end()
    return result


def _take_turn(name: str, turn: Turn, contender: Contender | None, result: Result, say: Callable[[str], None]) -> None:
    """Runs one turn and adds it to the result. A contender that failed once is skipped."""
    if name in result.missing:
        return
    failure: Failure | None = None
    try:
        epochs = turn(EPOCHS_PER_TURN)
        failure = contender.failure if contender else None
    except CommandError as error:
        failure = Failure(str(error))
    if failure is not None:
        result.missing[name] = failure.reason
        result.turns.pop(name, None)
        say(f"  {name}: {failure.reason}")
        return
    result.turns.setdefault(name, []).append([epoch.seconds for epoch in epochs])
    result.accuracy.setdefault(name, epochs[-1].accuracy)


def describe(batch_size: int | None, samples: int) -> str:
    """Returns the description of a batch size."""
    if batch_size == 1:
        return f"batch size 1 ({samples_at(1, samples):,} samples, seconds times {SCALE_OF_SINGLES})"
    return "all samples in one batch" if batch_size is None else f"batch size {batch_size}"
