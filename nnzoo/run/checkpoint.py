"""last.pt: all that resuming needs, as tensors and primitives.

It is read with torch's weights-only reader, after a check of our own: that reader calls nothing foreign, but a file of
a kilobyte can have it take gigabytes.
"""

from __future__ import annotations

import pickletools
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from nnzoo.errors import CheckpointError
from nnzoo.run.files import atomic_file

FORMAT = "nnzoo checkpoint"
VERSION = 1

# All that numbers, texts, lists, dicts and tensors need. No opcode that makes bytes, sets or objects of a given size.
_OPCODES = re.compile(
    r"PROTO|STOP|MARK|NONE|NEWTRUE|NEWFALSE|BININT[12]?|LONG1|BINFLOAT|BINUNICODE|EMPTY_(DICT|LIST|TUPLE)|TUPLE[123]?"
    r"|SETITEMS?|APPENDS?|(LONG_)?BIN(PUT|GET)|GLOBAL|BINPERSID|REDUCE"
)
_GLOBALS = re.compile(
    r"collections (OrderedDict|Counter)|torch\._utils _rebuild_tensor_v[23]|torch (\w+Storage|uint\d+|float8_\w+)"
)


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
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if (
                any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
                or sum(entry.file_size for entry in entries) > size
                or len({entry.filename for entry in entries}) < len(entries)
            ):
                raise CheckpointError(
                    "no nnzoo checkpoint: its entries are compressed, larger than the file, or twice there.",
                    where=where,
                )
            damaged = archive.testzip()
            file.seek(0)
            # Whatever does not begin as a zip is read by torch in an older format.
            known = file.read(4) == b"PK\x03\x04" and all(
                _is_plain(archive.read(entry)) for entry in entries if entry.filename.endswith(".pkl")
            )
    except OSError as error:
        raise CheckpointError(f"can't be read: {error.strerror}.", where=where) from None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError):
        raise CheckpointError("damaged (cut short, or no checkpoint at all).", where=where) from None
    if damaged:
        raise CheckpointError(f"damaged: the checksum of {damaged} is wrong.", where=where)
    if not known:
        raise CheckpointError("no nnzoo checkpoint: it holds more than tensors and plain values.", where=where)


def _is_plain(pickled: bytes) -> bool:
    """Whether a pickle makes nothing but tensors and plain values. It is read and not run."""
    return all(
        _OPCODES.fullmatch(opcode.name) and (opcode.name != "GLOBAL" or _GLOBALS.fullmatch(str(argument)))
        for opcode, argument, _ in pickletools.genops(pickled)
    )
