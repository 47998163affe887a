"""Resumes a run from its checkpoint."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnzoo import log
from nnzoo.config import Config, ConfigLike, dump, load_config
from nnzoo.config.scheduler import LENGTHS
from nnzoo.data import Dataset, Preprocess, parse_reader, reader_of
from nnzoo.errors import CheckpointError, DataError, UsageError
from nnzoo.experiment.checksums import changed_splits
from nnzoo.experiment.metadata import Metadata
from nnzoo.experiment.pretrained.matching import Signature, describe_differences
from nnzoo.experiment.resume.untrusted import check_rank_states, check_restored
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
    "train.probes",
    "train.log",
)


def find_run(config: ConfigLike, name: str, runs_dir: Path) -> Path | None:
    """Returns the run to resume: `config` if it is a run directory, else the newest run of that name, if any."""
    if isinstance(config, str | os.PathLike):
        folder = Path(config)
        if (folder / CONFIG).is_file() and any((folder / file).is_file() for file in (CHECKPOINT, PREVIOUS, *OLDER)):
            return folder
    for folder in numbered(runs_dir, name):
        file = folder / CONFIG
        # "lenet-5" may be the name in a config, not the fifth run of "lenet".
        if folder.name == name or not file.is_file() or load_config(file, custom_model=True).name == name:
            return folder
    return None


def check_same(folder: Path, config: Config) -> None:
    """Checks that a run is resumed with the config it was started with, except for the keys in `MAY_CHANGE`.

    Args:
        folder: The run directory.
        config: The resolved config.

    Raises:
        UsageError: Other keys have changed; the message names them.
    """
    file = folder / CONFIG
    if not file.is_file():
        return
    before = dump(load_config(file, custom_model=config.model.name == "custom"))
    changed = list(_differences(before, dump(config)))
    # Restarts that were stopped early can't be continued, since their last weights are replaced or not saved.
    may_change = tuple(key for key in MAY_CHANGE if config.train.restarts == 1 or key != "train.early_stopping")
    refused = [key for key in changed if not key.startswith(may_change)]
    if refused:
        raise UsageError(
            f"the run was started with a different config; changed: {', '.join(refused)}. "
            f"Restore it, or start a new run without --resume. Only these may change: {', '.join(may_change[1:])}.",
            where=str(folder),
        )
    if "train.epochs" in changed and any(getattr(config.scheduler, field, 0) is None for field in LENGTHS):
        raise UsageError(
            "the run was started with a different train.epochs, which is also the length of its "
            f"{config.scheduler.name} "
            "schedule. Restore it, or start a new run without --resume.",
            where=str(folder),
        )


def _differences(before: Any, after: Any, prefix: str = "") -> Iterator[str]:
    """Yields the dotted keys whose values differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from _differences(before.get(key), after.get(key), f"{prefix}{key}.")
    elif before != after:
        yield prefix.rstrip(".")


def check_shared(digests: Sequence[dict[str, str]]) -> None:
    """Checks that all processes train on the same data.

    Args:
        digests: The digests of each process, by rank.

    Raises:
        DataError: The data of a process differs from that of rank 0.
    """
    for rank, each in enumerate(digests):
        if each != digests[0]:
            raise DataError(
                f"rank {rank} reads different data than rank 0 (the checksums differ). Use the same data in every "
                "process.",
                where="data",
            )


def check_data(saved: dict[str, Any], digests: dict[str, str], dataset: Dataset) -> None:
    """Checks that the data, including the order of columns, rows and classes, is the same as at the start of the run.

    Args:
        saved: The checkpoint.
        digests: The digests of the current data.
        dataset: The current data.

    Raises:
        DataError: The data has changed.
        CheckpointError: The checkpoint has no digests.
    """
    before = saved.get("data")
    if not isinstance(before, dict):
        raise CheckpointError("does not fit this run: it has no checksums of the data.", where=CHECKPOINT)
    changed = changed_splits(before, digests)
    if changed:
        raise DataError(
            f"the {changed} split has changed since the run was started (by checksum)."
            f"{_renamed(saved, dataset)} "
            "Restore the data, or start a new run without --resume; `model.pretrained` loads the weights by name.",
            where="data",
        )


def check_preprocess(saved: dict[str, Any], preprocess: Preprocess) -> None:
    """Checks that the inputs and targets are preprocessed as at the start of the run.

    Raises:
        CheckpointError: The run was started by a version of nnzoo that preprocesses them differently.
    """
    before, now = saved.get("preprocess"), preprocess.state_dict()
    if (
        isinstance(before, dict)
        and before.keys() == now.keys()
        and all(isinstance(before[name], Tensor) and before[name].shape == each.shape for name, each in now.items())
        and all(torch.allclose(before[name].double(), each, equal_nan=True) for name, each in now.items())
    ):
        return
    raise CheckpointError(
        "its inputs were preprocessed differently, by another version of nnzoo. Start a new run without --resume; "
        "`model.pretrained` loads the weights.",
        where=CHECKPOINT,
    )


def _renamed(saved: dict[str, Any], dataset: Dataset) -> str:
    """Describes how the names of inputs and outputs have changed; empty if they have not."""
    now = Signature(dataset.schema, reader_of(dataset), projected=False)
    try:
        metadata = Metadata.model_validate(saved.get("metadata"))
    except ValueError:
        return ""
    before = Signature(metadata.data_schema, parse_reader(metadata.reader), projected=False)
    differences = describe_differences(before, now)
    return f" {differences}" if differences else ""


def saved_warnings(saved: dict[str, Any]) -> list[str]:
    """Returns the warnings that a run gave before it was interrupted.

    Raises:
        CheckpointError: The warnings are not a list of strings.
    """
    warnings = saved.get("warnings", [])
    if not isinstance(warnings, list) or not all(isinstance(text, str) for text in warnings):
        raise CheckpointError("does not fit this run: its warnings are not a list of strings.", where=CHECKPOINT)
    return warnings


def describe_start(folder: Path, training: Training) -> str:
    """Describes where a restored run continues or, if it is finished, how to train it further.

    A run without a result must still be evaluated, even if its last epoch is done.
    """
    config, state = training.experiment.config, training.state
    if not training.is_over() or _status(folder) not in ("completed", "early_stopped"):
        return f"resuming {folder} after {training.done()}"
    epochs, again = config.train.epochs, "start a new run without --resume"
    if config.train.restarts > 1:
        return f"{folder} is finished: its {config.train.restarts} restarts have ended. To train further, {again}."
    if state.early_stopping.should_stop():
        why = f"early stopping ended it after epoch {state.epoch}"
        fix = "increase train.early_stopping.patience"
    elif state.epoch < epochs:
        why = f"train.max_minutes was reached after epoch {state.epoch}"
        fix = "increase train.max_minutes, or set it to null"
    else:
        why, fix = f"all {epochs} epochs are done", "increase train.epochs"
        if any(getattr(config.scheduler, field, 0) is None for field in LENGTHS):
            fix = f"{again}: the length of its {config.scheduler.name} schedule is train.epochs"
    return f"{folder} is finished: {why}. To train further, {fix}."


def _status(folder: Path) -> object:
    """Returns the status in result.json; None if there is no result."""
    try:
        return json.loads((folder / RESULT).read_text()).get("status")
    except (OSError, ValueError, AttributeError):
        return None


def restore(folder: Path, training: Training, saved: dict[str, Any]) -> None:
    """Restores the training state from the content of last.safetensors.

    Raises:
        CheckpointError: The content does not belong to this run.
    """
    try:
        training.check(saved)
        training.load_state_dict(saved)
        check_restored(training.best_state(), training.experiment.config.train.monitor)
        restore_ranks(training, training.rank_states(saved))
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise CheckpointError(f"does not fit this run: {reason}", where=str(folder / CHECKPOINT)) from None


def restore_ranks(training: Training, rank_states: Any) -> None:
    """Restores the state of each rank: its random state and its running sums of the current epoch.

    If the number of processes has changed, rank 0 gets the sums of all ranks, and the other ranks get new random
    states.

    Args:
        training: The training, restored to the state of rank 0.
        rank_states: The states of the other ranks.
    """
    group, state = training.experiment.settings.group, training.state
    check_rank_states(rank_states, state.state_dict())
    if len(rank_states) + 1 != group.size:
        log.warning(
            "the run was started with %d processes and continues with %d: random numbers and the last bits of the "
            "weights will differ",
            len(rank_states) + 1,
            group.size,
            in_result=False,
        )
        if group.rank == 0:
            state.join(rank_states)
        else:
            state.start_sums()
            seed_everything(seed_of_rank(training.experiment.config.seed + state.step, group.rank))
    elif group.rank:
        state.load_share(rank_states[group.rank - 1])
