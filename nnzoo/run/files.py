"""Writes files atomically: writes to a temporary file in the same directory, flushes, syncs and renames it."""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

from nnzoo.errors import RunError

_ROWS_AT_ONCE = 4096


@contextlib.contextmanager
def atomic_file(path: Path, *, keep: Path | None = None) -> Iterator[BinaryIO]:
    """Opens a binary file that gets its final name only once it is completely on disk.

    Args:
        path: The name of the file.
        keep: The name, in the same directory, to which an existing file is renamed.

    Raises:
        RunError: The file can't be written: no space, no permission, or no directory. No new file is left behind.
    """
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_UMASK)  # noqa: PTH101
        if keep is not None and path.exists():
            _keep(path, keep, Path(f"{temporary}.link.tmp"))
        os.replace(temporary, path)  # noqa: PTH105
        _sync_directory(path.parent)
    except BaseException as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise RunError(f"can't be written: {error.strerror}.", where=str(path)) from None
        raise


def _keep(path: Path, keep: Path, link: Path) -> None:
    """Links a file to a second name, so that it always exists under the first one."""
    try:
        link.hardlink_to(path)
    except OSError:  # a file system without links: for a moment only the second name exists
        os.replace(path, keep)  # noqa: PTH105
        return
    try:
        os.replace(link, keep)  # noqa: PTH105
    finally:
        # Renaming does nothing if both names already refer to the same file, after a kill at this point.
        link.unlink(missing_ok=True)


def _read_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


# Read once, while there is one thread. mkstemp creates files that only their owner can read, whatever the umask.
_UMASK = _read_umask()


def _sync_directory(folder: Path) -> None:
    """Syncs the directory, which makes the rename durable on systems that support it."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems do not support this; the file itself has been written.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically."""
    with atomic_file(path) as file:
        file.write(text.encode())


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file atomically."""
    write_text(path, to_json(value) + "\n")


def to_json(value: Any) -> str:
    """Returns standard JSON; numbers that are not finite become null."""
    return json.dumps(finite(value), indent=2, ensure_ascii=False, allow_nan=False)


def finite(value: Any) -> Any:
    """Returns the value with None in place of each float that is not finite."""
    if isinstance(value, float) and value - value != 0:
        return None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes a CSV file atomically, in blocks of rows to save memory."""
    lines = chain([header], rows)
    with atomic_file(path) as file:
        while block := list(islice(lines, _ROWS_AT_ONCE)):
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows(block)
            file.write(text.getvalue().encode())
