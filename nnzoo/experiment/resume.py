"""Going on where a run stopped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from nnzoo.config import Config, dump, load_config
from nnzoo.errors import CheckpointError, UsageError
from nnzoo.run.checkpoint import load_checkpoint
from nnzoo.run.directory import CHECKPOINT, CONFIG
from nnzoo.run.log import log
from nnzoo.training.state import TrainState

MAY_CHANGE = ("name", "train.epochs", "train.early_stopping", "train.device", "train.checkpoint", "train.max_minutes")


def check_same(folder: Path, config: Config) -> None:
    """A run goes on with the config that it was started with, but for how long and where it runs.

    Args:
        folder: The run directory.
        config: Resolved.

    Raises:
        UsageError: Other keys were changed; they are named.
    """
    file = folder / CONFIG
    if not file.is_file():
        return
    before = dump(load_config(file, custom_model=config.model.name == "custom"))
    changed = [key for key in _differences(before, dump(config)) if not key.startswith(MAY_CHANGE)]
    if changed:
        raise UsageError(
            f"the run was started with another config; changed: {', '.join(changed)}. "
            f"Change it back, or start a new run without --resume. May change: {', '.join(MAY_CHANGE[1:])}.",
            where=str(folder),
        )


def _differences(before: Any, after: Any, prefix: str = "") -> Iterator[str]:
    """Dotted keys whose values differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from _differences(before.get(key), after.get(key), f"{prefix}{key}.")
    elif before != after:
        yield prefix.rstrip(".")


def restore(folder: Path, state: TrainState) -> bool:
    """Loads last.pt, if the run has come that far; returns whether it had.

    Raises:
        CheckpointError: It is damaged, or was made by something else.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return False
    saved = load_checkpoint(path)
    try:
        state.load_state_dict(saved)
        threads = saved["num_threads"]
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError, AttributeError) as error:
        reason = str(error).split("\n")[0]
        raise CheckpointError(f"does not fit this run: {reason}", where=str(path)) from None
    if threads != torch.get_num_threads():
        log.info("using %d threads as before: their number decides the last bits", threads)
        torch.set_num_threads(threads)
    log.info("resuming %s after epoch %d, step %d", folder, state.epoch, state.step)
    return True
