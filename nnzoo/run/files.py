"""Writing so that a file is whole or not there: a temporary name in the same directory, flush, fsync, rename."""

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
    """A binary file that gets its name when all of it is on the disk.

    Args:
        path: Its name.
        keep: The name, in the same directory, that the file of before gets.

    Raises:
        RunError: It can't be written: no space, no permission, no directory. Nothing is left under either name.
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
    """Gives a file a second name, so that at no moment it is without its own."""
    try:
        link.hardlink_to(path)
    except OSError:  # a file system without links: for a moment there is the second name alone
        os.replace(path, keep)  # noqa: PTH105
        return
    try:
        os.replace(link, keep)  # noqa: PTH105
    finally:
        # Renaming does nothing where both are one file already, after a kill right here.
        link.unlink(missing_ok=True)


def _read_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


# Read once, while there is one thread: mkstemp makes files for their owner alone, and a run is for the group as well.
_UMASK = _read_umask()


def _sync_directory(folder: Path) -> None:
    """Makes the rename itself durable, on systems that can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems know no such call; the file itself is written by now.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Writes a text file, whole or not at all."""
    with atomic_file(path) as file:
        file.write(text.encode())


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file, whole or not at all."""
    write_text(path, to_json(value) + "\n")


def to_json(value: Any) -> str:
    """JSON as the standard has it: a number that is not finite becomes null."""
    return json.dumps(finite(value), indent=2, ensure_ascii=False, allow_nan=False)


def finite(value: Any) -> Any:
    """A value with None in place of each float that JSON can't hold."""
    if isinstance(value, float) and value - value != 0:
        return None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes a CSV file, whole or not at all; of many rows never more than a few are in memory as text."""
    lines = chain([header], rows)
    with atomic_file(path) as file:
        while block := list(islice(lines, _ROWS_AT_ONCE)):
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows(block)
            file.write(text.getvalue().encode())
