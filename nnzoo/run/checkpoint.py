"""last.safetensors, the checkpoint from which a run is resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nnzoo import log
from nnzoo.errors import CheckpointError
from nnzoo.run import tensor_file
from nnzoo.run.directory import CHECKPOINT, PREVIOUS, check_not_older
from nnzoo.run.encoding import decode, encode
from nnzoo.run.tensor_file import OtherVersionError, read_tensor_file, write_tensor_file


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Writes a checkpoint atomically. The previous checkpoint is kept as previous.safetensors.

    Args:
        path: Path of last.safetensors.
        state: A value that `encode` supports: nested dicts, lists and tuples of tensors, numbers, strings and None.

    Raises:
        RunError: The file can't be written.
    """
    encoded, tensors = encode(state)
    version = tensor_file.VERSIONS[tensor_file.CHECKPOINT]
    metadata = {"format": tensor_file.CHECKPOINT, "version": version, "state": encoded}
    write_tensor_file(path, tensors, metadata, keep=path.with_name(PREVIOUS))


def load_last(folder: Path) -> dict[str, Any] | None:
    """Reads the checkpoint to resume from: last.safetensors, or the previous one if that is damaged or missing.

    The previous checkpoint is then renamed to last.safetensors, so that the next checkpoint does not replace the intact
    file with the damaged one.

    Returns:
        The saved state; None if the run has no checkpoint yet.

    Raises:
        CheckpointError: Both are damaged, or the checkpoint is of a different version of nnzoo.
    """
    last, previous = folder / CHECKPOINT, folder / PREVIOUS
    if not previous.is_file():
        if not last.is_file():
            check_not_older(folder)
            return None
        return load_checkpoint(last)
    try:
        return load_checkpoint(last)
    except OtherVersionError:
        raise
    except CheckpointError as error:
        problem = error
    try:
        state = load_checkpoint(previous)
    except OtherVersionError:
        raise
    except CheckpointError:
        raise CheckpointError(
            f"{problem.message} {PREVIOUS} is damaged too. Start a new run without --resume.", where=str(last)
        ) from None
    log.warning("%s Resuming from the previous checkpoint, %s", problem, PREVIOUS, in_result=False)
    try:
        previous.replace(last)
    except OSError as error:
        raise CheckpointError(f"can't be replaced by {PREVIOUS}: {error.strerror}.", where=str(last)) from None
    return state


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint onto the CPU.

    Raises:
        CheckpointError: The file is damaged, is not a checkpoint of nnzoo, or is of a different version.
    """
    state = state_of(path, *read_tensor_file(path))
    if state is None:
        raise CheckpointError("is not a checkpoint of nnzoo, but an artifact.", where=str(path))
    return state


def state_of(path: Path, tensors: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any] | None:
    """Returns the state in the file that `read_tensor_file` read; None if the file is not a checkpoint.

    Raises:
        CheckpointError: The file does not have the structure that `save_checkpoint` writes.
    """
    if metadata.get("format") != tensor_file.CHECKPOINT:
        return None
    try:
        state = decode(metadata["state"], tensors)
    except (ValueError, KeyError, RecursionError) as error:
        raise CheckpointError(
            f"damaged: it does not have the structure of a checkpoint ({str(error)[:80]}).", where=str(path)
        ) from None
    if not isinstance(state, dict):
        raise CheckpointError("damaged: it does not contain a training state.", where=str(path))
    return state
