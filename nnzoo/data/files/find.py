"""Finds files, in natural order."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from nnzoo.data.files.contents import STDIN, SUFFIXES, members_of, plain_name
from nnzoo.data.files.repairs import Repair, Repairs
from nnzoo.errors import DataError
from nnzoo.folders import missing_data_hint

SYSTEM_FILES = ("thumbs.db", "desktop.ini", "__macosx")
"""Files that file managers create in folders, in lower case."""

_DIGITS = re.compile("[0-9]+")
_IN_FOLDER = "in a data folder"
OTHER_FILES = Repair("file", f"of a different type {_IN_FOLDER}", "left out", "To read it, set `path` to it.")
FOLDERS = Repair("folder", _IN_FOLDER, "left out", "A pattern such as `folder/**/*.csv` reads its files.")
BROKEN_LINKS = Repair("link", "to a file that does not exist", "left out", "Remove it, or restore its file.")
TWICE = Repair(
    "compressed file", "next to its uncompressed copy", "left out", "Remove one of the two, or set `path` to one."
)


def natural_key(text: str) -> tuple[str, str]:
    """Returns a sort key for natural order, with numbers by value: `week 2` before `week 10`."""
    return _DIGITS.sub(_number_key, text), text


def _number_key(found: re.Match[str]) -> str:
    """Returns a sort key for a number: it sorts like a digit among other texts, and by value among numbers."""
    digits = found[0].lstrip("0")
    return f"0{chr(len(digits))}{digits}"


def in_natural_order(paths: Collection[Path]) -> list[Path]:
    """Returns paths in natural order, folder by folder."""
    return sorted(paths, key=lambda path: [natural_key(part) for part in path.parts])


def order_note(paths: Sequence[Path]) -> tuple[str, ...]:
    """Returns a note on the order of files, if natural order differs from alphabetical order."""
    if list(paths) == sorted(paths):
        return ()
    shown = [path.name for path in paths]
    middle = ["...", shown[-1]] if len(shown) > 4 else shown[3:]
    return (f"{len(paths)} files are read in the order of the numbers in their names: {', '.join(shown[:3] + middle)}",)


def is_hidden(path: Path) -> bool:
    """Returns whether a file or folder is not data: it is hidden, or created by a file manager."""
    return path.name.startswith(".") or path.name.lower() in SYSTEM_FILES


def find_files(path: Path, suffixes: Collection[str] = (), repairs: Repairs | None = None) -> list[Path]:
    """Returns the files that match a path, in natural order.

    Args:
        path: A file, a folder, a glob pattern such as `part-*.csv`, or `-` for standard input. A zip archive is read as
            all its files; the path of one of them, such as `data.zip/a.csv`, is also allowed.
        suffixes: The allowed suffixes in folders and archives, in lower case; empty for all files that are not hidden.
            A compression suffix may follow or replace them.
        repairs: Counts files that are left out.

    Raises:
        DataError: The file does not exist, or the folder contains no matching file.
    """
    repairs = Repairs() if repairs is None else repairs
    if path == STDIN:
        return [path]
    if path.is_file():
        return _of_archive(path, suffixes, repairs)
    if path.is_dir():
        chosen = _in_folder(path, suffixes, repairs)
        if not chosen:
            kinds = f" that ends in {' or '.join(sorted(suffixes))}" if suffixes else ""
            raise DataError(f"is a folder without a file{kinds}.", where=str(path))
    else:
        root = Path(path.anchor)
        pattern = path.relative_to(root)
        found = [match for match in root.glob(str(pattern)) if match.is_file()]
        chosen = [each for each in found if pattern.name.startswith(".") or not is_hidden(each)]
        if not chosen and _leads_into_archive(path):
            return [path]
        if not chosen:
            hint = missing_data_hint(path) or " Check the path."
            raise DataError(f"there is no such file or folder.{hint}", where=str(path))
    return [each for file in in_natural_order(chosen) for each in _of_archive(file, suffixes, repairs)]


def _leads_into_archive(path: Path) -> bool:
    return any(each.is_file() and members_of(each) for each in path.parents)


def _of_kind(paths: Sequence[Path], suffixes: Collection[str]) -> list[Path]:
    """Returns the files with an allowed suffix. Next to other data files, a .txt file is a description, not data."""
    allowed = [each for each in paths if _is_of_kind(each, suffixes)]
    return (
        [each for each in allowed if Path(plain_name(each)).suffix.lower() != ".txt"] or allowed
        if suffixes
        else allowed
    )


def _is_of_kind(path: Path, suffixes: Collection[str]) -> bool:
    """Returns whether a suffix is allowed. A compressed file may have only its compression suffix."""
    name = Path(plain_name(path))
    return not suffixes or name.suffix.lower() in suffixes or (name.name != path.name and not name.suffix)


def _in_folder(folder: Path, suffixes: Collection[str], repairs: Repairs) -> list[Path]:
    """Returns the data files of a folder, without compressed copies."""
    entries = in_natural_order([each for each in folder.iterdir() if not is_hidden(each)])
    files = [each for each in entries if each.is_file()]
    chosen = _of_kind(files, suffixes)
    plain = {each.name for each in chosen} | {each.stem for each in chosen if each.suffix.lower() not in SUFFIXES}
    twice = [each for each in chosen if each.suffix.lower() in SUFFIXES and plain_name(each) in plain]
    if chosen:
        left_out = {
            OTHER_FILES: [each for each in files if each not in chosen],
            TWICE: twice,
            FOLDERS: [each for each in entries if each.is_dir()],
            BROKEN_LINKS: [each for each in entries if each.is_symlink() and not each.exists()],
        }
        for repair, paths in left_out.items():
            repairs.add(repair, str(paths[0]) if paths else "", len(paths))
    return [each for each in chosen if each not in twice]


def _of_archive(file: Path, suffixes: Collection[str], repairs: Repairs) -> list[Path]:
    """Returns the data files in a zip archive, or its only member; for any other file, the file itself."""
    members = in_natural_order(members_of(file))
    if len(members) < 2:
        return members or [file]
    chosen = _of_kind(members, suffixes)
    if not chosen:
        raise DataError(
            f"is a zip archive without a file that ends in {' or '.join(sorted(suffixes))}.", where=str(file)
        )
    others = [each for each in members if each not in chosen]
    repairs.add(OTHER_FILES, str(others[0]) if others else "", len(others))
    return chosen
