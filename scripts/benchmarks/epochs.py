"""Seconds an epoch. The contenders take turns, so that whatever else the machine does meets them all."""

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

EPOCHS_A_TURN = 3


@dataclass
class Result:
    """One network at one batch size on one device.

    Attributes:
        network, device: Their names.
        batch_size: None for all samples.
        scale: What seconds are multiplied by to be of as many samples as the other batch sizes have.
        turns: By contender, its turns with the seconds of their epochs, not yet scaled.
        accuracy: By contender, of its last epoch in the first turn, which is the fourth of all of them.
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
        """The median epoch."""
        return self.scale * statistics.median(second for turn in self.turns[name] for second in turn)

    def ratio(self, name: str, to: str) -> float:
        """How many times as long as another: the median over the rounds, each compared within itself."""
        pairs = zip(self.turns[name], self.turns[to], strict=True)
        return statistics.median(statistics.median(mine) / statistics.median(other) for mine, other in pairs)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
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
    """Lets the contenders take turns of `EPOCHS_A_TURN` epochs, in another order each round."""
    train_samples = samples_at(batch_size, samples)
    result = Result(network, device, batch_size, samples // train_samples if batch_size == 1 else 1, {}, {}, {})
    with tempfile.TemporaryDirectory(prefix="nnzoo-benchmark-") as temporary:
        folder = Path(temporary)
        job = Job(network, batch_size, folder / "samples.npz", device)
        write_samples(job.data, NETWORKS[network].shape, train_samples, max(1, train_samples // 5))
        kept: dict[str, Contender] = {}
        turns: dict[str, Turn] = {}
        try:
            for name in contenders:
                if name == "nnzoo" or name in VARIANTS:
                    overrides = VARIANTS.get(name, [])
                    turns[name] = functools.partial(command_line.turn, job, overrides=overrides, folder=folder)
                else:
                    kept[name] = Contender(name, job)
                    turns[name] = kept[name].turn
            for contender in kept.values():
                contender.warm_up()
            for number in range(rounds):
                order = [*contenders[number % len(contenders) :], *contenders[: number % len(contenders)]]
                for name in order:
                    _take(name, turns[name], kept.get(name), result, say)
        finally:
            for contender in kept.values():
                contender.end()
    return result


def _take(name: str, turn: Turn, kept: Contender | None, result: Result, say: Callable[[str], None]) -> None:
    """One turn, noted in the result. Who fails once is out."""
    if name in result.missing:
        return
    failure: Failure | None = None
    try:
        epochs = turn(EPOCHS_A_TURN)
        failure = kept.failure if kept else None
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
    """A batch size in words, with what is special about it."""
    if batch_size == 1:
        return f"batch size 1 ({samples_at(1, samples):,} samples, seconds times {SCALE_OF_SINGLES})"
    return "all samples in one batch" if batch_size is None else f"batch size {batch_size}"
