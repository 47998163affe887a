"""Resumes a run where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from nnzoo import log
from nnzoo.config import Config, ConfigLike, dump, load_config
from nnzoo.config.scheduler import LENGTHS
from nnzoo.data import Dataset, parse_reader, reader_of
from nnzoo.data.dataset import row_slices
from nnzoo.errors import CheckpointError, DataError, UsageError
from nnzoo.experiment.metadata import Metadata
from nnzoo.experiment.pretrained.matching import Side, describe_differences
from nnzoo.experiment.resume.untrusted import check_restored, check_shares
from nnzoo.experiment.train.single import Training
from nnzoo.run.directory import CHECKPOINT, CONFIG, OLDER, PREVIOUS, RESULT, numbered
from nnzoo.training.state import seed_everything, seed_of_rank

MAY_CHANGE = (
    "name",
    "data.cache",
    "data.digest",
    "train.epochs",
    "train.early_stopping",
    "train.device",
    "train.checkpoint",
    "train.max_minutes",
)


def find_run(config: ConfigLike, name: str, runs_dir: Path) -> Path | None:
    """Returns the run to resume: the run directory that `config` is, else the newest run of a name, if there is one."""
    if isinstance(config, str | os.PathLike):
        folder = Path(config)
        if (folder / CONFIG).is_file() and any((folder / file).is_file() for file in (CHECKPOINT, PREVIOUS, *OLDER)):
            return folder
    for folder in numbered(runs_dir, name):
        file = folder / CONFIG
        # "lenet-5" may be a name of its own instead of the fifth run of "lenet".
        if folder.name == name or not file.is_file() or load_config(file, custom_model=True).name == name:
            return folder
    return None


def check_same(folder: Path, config: Config) -> None:
    """Checks that a run is resumed with its own config. Only how long and where it runs may change.

    Args:
        folder: The run directory.
        config: The resolved config.

    Raises:
        UsageError: Other keys were changed; the message names them.
    """
    file = folder / CONFIG
    if not file.is_file():
        return
    before = dump(load_config(file, custom_model=config.model.name == "custom"))
    changed = list(_differences(before, dump(config)))
    # Restarts that were stopped early can't be continued: their weights have moved on, or are not kept.
    may_change = tuple(key for key in MAY_CHANGE if config.train.restarts == 1 or key != "train.early_stopping")
    refused = [key for key in changed if not key.startswith(may_change)]
    if refused:
        raise UsageError(
            f"the run was started with another config; changed: {', '.join(refused)}. "
            f"Change it back, or start a new run without --resume. May change: {', '.join(may_change[1:])}.",
            where=str(folder),
        )
    if "train.epochs" in changed and any(getattr(config.scheduler, field, 0) is None for field in LENGTHS):
        raise UsageError(
            f"the run was started with another train.epochs, which is the length of its {config.scheduler.name} "
            "schedule too. Change it back, or start a new run without --resume.",
            where=str(folder),
        )


def _differences(before: Any, after: Any, prefix: str = "") -> Iterator[str]:
    """Dotted keys whose values differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from _differences(before.get(key), after.get(key), f"{prefix}{key}.")
    elif before != after:
        yield prefix.rstrip(".")


def digests_of(dataset: Dataset) -> dict[str, str]:
    """Returns the SHA-256 of each split before preprocessing, with all names, in about a second per gigabyte."""
    found = {}
    names = Side(dataset.schema, reader_of(dataset), projected=False).inputs
    for name, split in dataset.splits.items():
        digest = hashlib.sha256(repr((dataset.schema, names)).encode())
        for tensor in (split.inputs, split.targets, split.lengths):
            if tensor is None:
                continue
            digest.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
            for rows in row_slices(tensor):
                digest.update(tensor[rows].contiguous().reshape(-1).view(torch.uint8).numpy().data)
        found[name] = digest.hexdigest()
    return found


def check_shared(digests: Sequence[dict[str, str]]) -> None:
    """Checks that all processes train on the same data.

    Args:
        digests: The digests of each process, by rank.

    Raises:
        DataError: One process read other data.
    """
    for rank, each in enumerate(digests):
        if each != digests[0]:
            raise DataError(
                f"rank {rank} reads other data than rank 0 (by checksum). Give every process the same data.",
                where="data",
            )


def check_data(saved: dict[str, Any], digests: dict[str, str], dataset: Dataset) -> None:
    """Checks that the data is what the run was started with, in the same order of columns, rows and classes.

    Args:
        saved: The checkpoint.
        digests: Of the data now.
        dataset: The data now.

    Raises:
        DataError: A file was changed since then.
        CheckpointError: The checkpoint does not say.
    """
    before = saved.get("data")
    if not isinstance(before, dict):
        raise CheckpointError("does not fit this run: it does not say what data it was of.", where=CHECKPOINT)
    changed = [name for name in {**before, **digests} if before.get(name) != digests.get(name)]
    if changed:
        raise DataError(
            f"changed since the run was started: its {' and '.join(changed)} split (by checksum)."
            f"{_renamed(saved, dataset)} "
            "Put it back as it was, or start a new run without --resume; `model.pretrained` takes its weights by name.",
            where="data",
        )


def _renamed(saved: dict[str, Any], dataset: Dataset) -> str:
    """What became of the names of inputs and outputs."""
    now = Side(dataset.schema, reader_of(dataset), projected=False)
    try:
        metadata = Metadata.model_validate(saved.get("metadata"))
    except ValueError:
        return ""
    before = Side(metadata.data_schema, parse_reader(metadata.reader), projected=False)
    differences = describe_differences(before, now)
    return f" {differences}" if differences else ""


def saved_warnings(saved: dict[str, Any]) -> list[str]:
    """The warnings that a run gave before it was interrupted.

    Raises:
        CheckpointError: The checkpoint holds something else there.
    """
    found = saved.get("warnings", [])
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise CheckpointError("does not fit this run: its warnings are not a list of texts.", where=CHECKPOINT)
    return found


def describe_start(folder: Path, training: Training) -> str:
    """Says where a restored run continues or, if it is finished, that it is, and how to train on.

    A run without the result of a finished one still has to be measured, even if its last epoch is done.
    """
    config, state = training.experiment.config, training.state
    if not training.is_over() or _status(folder) not in ("completed", "early_stopped"):
        return f"resuming {folder} after {training.done()}"
    epochs, again = config.train.epochs, "start a new run without --resume"
    if config.train.restarts > 1:
        return f"{folder} is finished: its {config.train.restarts} restarts have ended. To train on, {again}."
    if state.early_stopping.should_stop():
        why = f"early stopping ended it after epoch {state.epoch}"
        fix = "set train.early_stopping to null or more patience"
    elif state.epoch < epochs:
        why = f"its train.max_minutes are over after epoch {state.epoch}"
        fix = "set train.max_minutes to more, or to null"
    else:
        why, fix = f"all {epochs} epochs are done", f"set train.epochs to more than {epochs}"
        if any(getattr(config.scheduler, field, 0) is None for field in LENGTHS):
            fix = f"{again}: its {config.scheduler.name} schedule is as long as train.epochs"
    return f"{folder} is finished: {why}. To train on, {fix}."


def _status(folder: Path) -> object:
    """How the last training of a run ended; None if it did not."""
    try:
        return json.loads((folder / RESULT).read_text()).get("status")
    except (OSError, ValueError, AttributeError):
        return None


def restore(folder: Path, training: Training, saved: dict[str, Any]) -> None:
    """Restores a training from the content of last.safetensors.

    Raises:
        CheckpointError: The content does not belong to this training.
    """
    try:
        training.check(saved)
        training.load_state_dict(saved)
        check_restored(training.kept(), training.experiment.config.train.monitor)
        hand_out(training, training.shares(saved))
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise CheckpointError(f"does not fit this run: {reason}", where=str(folder / CHECKPOINT)) from None


def hand_out(training: Training, shares: Any) -> None:
    """Gives each process its own part of a restored training: its random state and its sums of the current epoch.

    If the number of processes has changed, rank 0 gets all sums, and the other ranks get new random states.

    Args:
        training: Restored to the state of rank 0.
        shares: The parts of the other ranks.
    """
    group, state = training.experiment.settings.group, training.state
    check_shares(shares, state.state_dict())
    if len(shares) + 1 != group.size:
        log.warning(
            "the run was started with %d processes and continues with %d: its random numbers and the last bits of its "
            "weights will differ",
            len(shares) + 1,
            group.size,
            in_result=False,
        )
        if group.rank == 0:
            state.join(shares)
        else:
            state.start_sums()
            seed_everything(seed_of_rank(training.experiment.config.seed + state.step, group.rank))
    elif group.rank:
        state.load_share(shares[group.rank - 1])
