"""Writes a run for TensorBoard: scalars and histograms of each epoch, the graph, sample images, and the result."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnzoo import log
from nnzoo.config import Config, dump
from nnzoo.config.load import problems_of
from nnzoo.data import Dataset
from nnzoo.experiment.prepare import Experiment
from nnzoo.run.directory import TENSORBOARD, event_files
from nnzoo.run.health import HealthRow
from nnzoo.training.batches.order import arguments_of
from nnzoo.training.state import TrainState, rng_state, set_rng_state

RESULT_RUN = "result"
"""The folder of the hyperparameters with the result. It is a run of its own, so that it can be written again."""
NUM_IMAGES = 16
MAX_TEXT = 500
UNIMPORTANT = ("name", "train.device", "train.num_threads", "train.checkpoint", "train.probes", "train.log")


def check_installed(config: Config) -> None:
    """Raises ConfigError if `train.log` asks for TensorBoard and its package can't be imported."""
    if "tensorboard" not in config.train.log:
        return
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        reason = f"the package tensorboard can't be imported ({error}). Install it: pip install 'nnzoo[tensorboard]'"
        raise problems_of(config, [(("train", "log"), reason)]) from None


def sample_images(config: Config, dataset: Dataset) -> Tensor | None:
    """Returns the first training images for TensorBoard, (N, C, H, W) from 0 to 1; None if there are none.

    They are read before training, since raw inputs are not kept.
    """
    if "tensorboard" not in config.train.log or dataset.layout != "image":
        return None
    images = dataset.train.inputs[:NUM_IMAGES]
    scaled = images.float() / 255 if images.dtype == torch.uint8 else images.float().clone()
    low, high = float(scaled.amin()), float(scaled.amax())
    if low < 0 or high > 1:
        scaled = (scaled - low) / ((high - low) or 1.0)
    return scaled if scaled.shape[1] == 3 else scaled[:, :1]


class TensorBoard:
    """Writes the events of one run. Training never fails because of it: the first error ends the logging.

    Steps are epochs. With restarts, only the best restart is written, at the end.

    Args:
        folder: The run directory.
        experiment: The experiment.
        images: The result of `sample_images`.
    """

    def __init__(self, folder: Path, experiment: Experiment, images: Tensor | None) -> None:
        self.folder = folder / TENSORBOARD
        self.experiment = experiment
        self.images = images
        self.has_failed = False
        self._writer: Any = None

    def log_epoch(self, state: TrainState) -> None:
        """Writes the scalars and the histograms of the epoch that has just been finished."""

        def write() -> None:
            writer = self._open(state)
            self._scalars(writer, state, state.epoch)
            _histograms(writer, dict(state.model.named_parameters()), state.epoch)
            # Before the checkpoint: a resumed run does not repeat the epochs in the checkpoint.
            writer.flush()

        self._attempt(write)

    def finish(self, state: TrainState, result: dict[str, Any], *, has_restarts: bool) -> None:
        """Writes the hyperparameters with the result, and the best restart if there are restarts."""

        def write() -> None:
            if result["status"] != "interrupted":
                if has_restarts:
                    self._restart(state)
                self._result(result)

        self._attempt(write)

    def close(self) -> None:
        """Closes the event file."""
        if self._writer is not None:
            with contextlib.suppress(Exception):
                self._writer.close()
            self._writer = None

    def _attempt(self, write: Callable[[], None]) -> None:
        if self.has_failed:
            return
        try:
            write()
        except Exception as error:
            self.has_failed = True
            kind = type(error).__name__
            log.warning("nothing more is written for TensorBoard (%s: %s)", kind, error, in_result=False)

    def _open(self, state: TrainState) -> Any:
        """Returns the writer. The events of epochs that a resumed run repeats are marked as outdated."""
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            is_new = not event_files(self.folder)
            self._writer = SummaryWriter(str(self.folder), purge_step=None if is_new else state.epoch)
            if is_new:
                self._once(state)
        return self._writer

    def _once(self, state: TrainState) -> None:
        """Writes the graph and the sample images."""
        if self.images is not None:
            self._writer.add_images("train/images", self.images, 0)
        split = self.experiment.splits["train"]
        lengths = None if split.lengths is None else split.lengths[:1]
        arguments = arguments_of(state.model, split.network_inputs(slice(1)), lengths)
        random_state = rng_state()
        try:
            with _silent():
                self._writer.add_graph(copy.deepcopy(state.model), arguments)
        except Exception as error:  # tracing runs a custom module, which may raise anything
            reason = str(error).strip().partition("\n")[0][:200]
            kind = type(error).__name__
            log.warning("the graph is not written for TensorBoard (%s: %s)", kind, reason, in_result=False)
        finally:
            set_rng_state(random_state)

    def _scalars(self, writer: Any, state: TrainState, epoch: int) -> None:
        for name, value in state.history.rows[epoch - 1].items():
            if name not in ("epoch", "step"):
                writer.add_scalar(name, value, epoch)
        for row in _health_of(state, epoch):
            for name, value in vars(row).items():
                if name not in ("epoch", "step", "layer") and not math.isnan(value):
                    writer.add_scalar(f"health/{row.layer}/{name}", value, epoch)

    def _restart(self, state: TrainState) -> None:
        """Writes the epochs of the best restart, and the histograms of its best weights."""
        for file in event_files(self.folder):
            file.unlink()
        writer = self._open(state)
        for epoch in range(1, len(state.history.rows) + 1):
            self._scalars(writer, state, epoch)
        if state.best is not None:
            _histograms(writer, state.best, state.early_stopping.best_epoch)

    def _result(self, result: dict[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter
        from torch.utils.tensorboard.summary import hparams

        for file in event_files(self.folder / RESULT_RUN):
            file.unlink()
        metrics = {f"result/{name}": value for name, value in result["metrics"].items() if value is not None}
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        writer: Any = SummaryWriter(str(self.folder / RESULT_RUN))
        with contextlib.closing(writer):
            values = dict(_flat(dump(self.experiment.config)))
            for summary in hparams(values, finite):  # type: ignore[no-untyped-call]
                writer.file_writer.add_summary(summary)
            for name, value in finite.items():
                writer.add_scalar(name, value, result["epochs"])


def _health_of(state: TrainState, epoch: int) -> Iterator[HealthRow]:
    return (row for row in state.health.table() if row.epoch == epoch)


def _histograms(writer: Any, weights: dict[str, Tensor], epoch: int) -> None:
    for name, tensor in weights.items():
        values = tensor.detach().flatten()
        values = values[values.isfinite()]
        if len(values):
            writer.add_histogram(name.replace(".", "/"), values.cpu(), epoch)


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the dotted keys of the config with values that TensorBoard can show."""
    if prefix and any(prefix == f"{key}." or prefix.startswith(f"{key}.") for key in UNIMPORTANT):
        return
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _flat(each, f"{prefix}{key}.")
    else:
        shown = value if isinstance(value, bool | int | float | str) else json.dumps(value)
        yield prefix.rstrip("."), shown[:MAX_TEXT] if isinstance(shown, str) else shown


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Hides what tracing prints and warns of: branches on Python values are fixed in a graph, which is right here."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
