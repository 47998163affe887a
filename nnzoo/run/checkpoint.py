"""last.pt: all that resuming needs, as tensors and primitives.

It is read with torch's weights-only reader, after a check of our own: that reader calls nothing foreign, but a file of
a kilobyte can have it take gigabytes.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch

from nnzoo import log
from nnzoo.errors import CheckpointError
from nnzoo.run.directory import CHECKPOINT, PREVIOUS
from nnzoo.run.files import atomic_file
from nnzoo.run.pickled import check_pickle

FORMAT = "nnzoo checkpoint"
VERSION = 2


class OtherVersionError(CheckpointError):
    """Whole, but not for this nnzoo."""


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Writes a checkpoint, whole or not at all. The one of before becomes previous.pt.

    Args:
        path: Of last.pt.
        state: Nested dicts and lists of tensors, numbers, texts and None.

    Raises:
        RunError: It can't be written.
    """
    with atomic_file(path, keep=path.with_name(PREVIOUS)) as file:
        torch.save({"format": FORMAT, "version": VERSION, **state}, file)


def load_last(folder: Path) -> dict[str, Any] | None:
    """Reads what a run goes on from: last.pt or, where that is damaged or missing, previous.pt, which takes its place.

    Otherwise the next checkpoint would put the damaged one in the place of the good one.

    Returns:
        None where the run has not come that far.

    Raises:
        CheckpointError: Neither is whole, or it is of another version.
    """
    last, previous = folder / CHECKPOINT, folder / PREVIOUS
    if not previous.is_file():
        return load_checkpoint(last) if last.is_file() else None
    try:
        return load_checkpoint(last)
    except OtherVersionError:
        raise
    except CheckpointError as error:
        problem = str(error)
    try:
        state = load_checkpoint(previous)
    except OtherVersionError:
        raise
    except CheckpointError as error:
        raise CheckpointError(
            f"{error.message} {PREVIOUS} is no better. Start a new run without --resume.", where=str(last)
        ) from None
    log.warning("%s Resuming from %s, the checkpoint before it", problem, PREVIOUS, lasting=False)
    try:
        previous.replace(last)
    except OSError as error:
        raise CheckpointError(f"can't be replaced by {PREVIOUS}: {error.strerror}.", where=str(last)) from None
    return state


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint onto the CPU.

    Raises:
        CheckpointError: It is damaged, is no nnzoo checkpoint, or is of a newer version. Nothing in it is executed.
    """
    where = str(path)
    _check_archive(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"can't be read: {error.strerror}.", where=where) from None
    except Exception:  # torch's reader has no error type of its own: whatever it says, the file is not ours
        raise CheckpointError("damaged, or no nnzoo checkpoint.", where=where) from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError("no nnzoo checkpoint.", where=where)
    version = state.get("version")
    if version != VERSION:
        raise OtherVersionError(other_version(version, VERSION), where=where)
    return state


def other_version(found: object, known: int) -> str:
    """What to do about a file of another version."""
    is_older = isinstance(found, int) and found < known
    todo = "Use the nnzoo that wrote it, or train anew." if is_older else "Update nnzoo."
    return f"of format version {str(found)[:20]}; this nnzoo reads version {known}. {todo}"


def _check_archive(path: Path) -> None:
    """Torch's reader has no bounds and verifies nothing: compressed entries could unpack to any size, bits flip."""
    where = str(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if (
                any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
                or sum(entry.file_size for entry in entries) > size
                or len({entry.filename for entry in entries}) < len(entries)
            ):
                raise CheckpointError(
                    "damaged, or no checkpoint of nnzoo: its entries are compressed, larger than it, or twice there.",
                    where=where,
                )
            damaged = archive.testzip()
            if damaged:
                raise CheckpointError(f"damaged: the checksum of {damaged[:80]!r} is wrong.", where=where)
            file.seek(0)
            # Whatever does not begin as a zip is read by torch in an older format.
            if file.read(4) != b"PK\x03\x04":
                raise CheckpointError("no nnzoo checkpoint: it begins with something else.", where=where)
            problem = _problem(archive, entries)
    except OSError as error:
        raise CheckpointError(f"can't be read: {error.strerror}.", where=where) from None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OverflowError):
        raise CheckpointError("damaged (cut short, or no checkpoint at all).", where=where) from None
    if problem:
        raise CheckpointError(
            f"no nnzoo checkpoint: it holds more than tensors and plain values ({problem}).", where=where
        )


def _problem(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> str:
    """What is wrong with the pickles of an archive; empty if nothing."""
    for entry in entries:
        if entry.filename.endswith(".pkl"):
            data = entry.filename.rpartition("/")[0] + "/data/"
            sizes = {
                each.filename.removeprefix(data): each.file_size for each in entries if each.filename.startswith(data)
            }
            try:
                check_pickle(archive.read(entry), sizes)
            except ValueError as error:
                return str(error)[:80]
    return ""
