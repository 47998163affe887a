"""last.pt: all that resuming needs, as tensors and primitives.

It is read with torch's weights-only reader, after a check of our own.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch

from nnzoo.errors import CheckpointError
from nnzoo.run.files import atomic_file

FORMAT = "nnzoo checkpoint"
VERSION = 1


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Writes a checkpoint, whole or not at all.

    Args:
        path: Of last.pt.
        state: Nested dicts and lists of tensors, numbers, texts and None.

    Raises:
        RunError: It can't be written.
    """
    with atomic_file(path) as file:
        torch.save({"format": FORMAT, "version": VERSION, **state}, file)


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
        raise CheckpointError(
            f"of format version {version}; this nnzoo reads version {VERSION}. Update nnzoo.", where=where
        )
    return state


def _check_archive(path: Path) -> None:
    """Torch's reader has no bounds and verifies nothing: compressed entries could unpack to any size, bits flip."""
    where = str(path)
    try:
        size = path.stat().st_size
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if (
                any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
                or sum(entry.file_size for entry in entries) > size
            ):
                raise CheckpointError(
                    "no nnzoo checkpoint: its entries are compressed or larger than the file.", where=where
                )
            damaged = archive.testzip()
    except OSError as error:
        raise CheckpointError(f"can't be read: {error.strerror}.", where=where) from None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError):
        raise CheckpointError("damaged (cut short, or no checkpoint at all).", where=where) from None
    if damaged:
        raise CheckpointError(f"damaged: the checksum of {damaged} is wrong.", where=where)
