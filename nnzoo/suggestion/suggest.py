"""Suggests a config for a file or a folder."""

from __future__ import annotations

import re
import shlex
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnzoo.config import load_config
from nnzoo.data.files.contents import compression_of, is_on_disk, members_of, plain_name, start_of
from nnzoo.data.files.encodings import read_text
from nnzoo.data.tables.table import SUFFIXES
from nnzoo.errors import DataError, UsageError
from nnzoo.suggestion.facts import check_no_files, look_at_table
from nnzoo.suggestion.images import (
    image_splits,
    inner_folder,
    suggest_images,
    suggest_torchvision,
    torchvision_set,
)
from nnzoo.suggestion.kinds import data_files, is_table_name, siblings_of, split_of
from nnzoo.suggestion.layout import find_layout, is_text
from nnzoo.suggestion.sequences import has_trees, suggest_arrays, suggest_language, suggest_trees
from nnzoo.suggestion.series import IN_ORDER, LEAST_ROWS, can_be_series, find_time, plan_series, suggest_series
from nnzoo.suggestion.suggestion import Suggestion, listed
from nnzoo.suggestion.tables import ask, suggest_table
from nnzoo.suggestion.targets import check_target, choose_target
from nnzoo.suggestion.texts import (
    labelled_lines,
    suggest_class_files,
    suggest_labelled_lines,
    suggest_text_table,
    text_column,
)
from nnzoo.suggestion.writing import to_commented_yaml

_UNKNOWN = {
    ".ts": "the UEA archive",
    ".arff": "Weka",
    ".mat": "MATLAB",
    ".h5": "HDF5",
    ".pkl": "pickle",
    ".json": "JSON",
}
"""Formats that nnzoo does not read."""


def suggest(path: Path, target: Sequence[str], repeat: str) -> Suggestion:
    """Returns a config for a file or a folder.

    Args:
        path: The file or folder.
        target: The columns to predict; empty to choose one.
        repeat: The command to repeat with a target, for messages.

    Raises:
        UsageError: There is no such file, or the target is missing or unclear.
        DataError: The data can't be read or can't be learned.
    """
    if not path.exists():
        raise UsageError("there is no such file or folder. Check the path.", where=str(path))
    suggestion = _of_folder(path, target, repeat) if path.is_dir() else _of_file(path, target, repeat)
    if target and "target" not in suggestion.config["data"]:
        raise UsageError(f"is for tables, but {path} has {suggestion.kind}. Leave it out.", where="--target")
    return suggestion


def _of_file(path: Path, target: Sequence[str], repeat: str) -> Suggestion:
    arrays = _arrays_of(path)
    if arrays is not None:
        return suggest_arrays(path, arrays)
    suffix = Path(plain_name(path)).suffix.lower()
    if suffix in _UNKNOWN:
        raise DataError(
            f"is a {suffix} file ({_UNKNOWN[suffix]}), which is not read. Convert it to CSV, or to an .npz file with "
            "arrays x, y and lengths.",
            where=str(path),
        )
    if len(members := members_of(path)) > 1:
        tables = [each for each in members if is_table_name(each)] or members
        return _of_table(path, tables[0], target, repeat)
    if is_text(path):
        if has_trees(path):
            siblings = {name: each for name, each in siblings_of(path).items() if has_trees(each)}
            return suggest_trees(path, siblings)
        layout = find_layout(path, target)
        if not layout.is_table and not is_table_name(path):
            return suggest_labelled_lines(path) if labelled_lines(path) else suggest_language(path, read_text(path))
        if not layout.is_table and labelled_lines(path) and not target:
            return suggest_labelled_lines(path)
    return _of_table(path, path, target, repeat)


def _of_table(path: Path, first: Path, target: Sequence[str], repeat: str) -> Suggestion:
    """Returns a config for a table: a time series, texts with classes, or rows.

    Args:
        path: A file or a folder of files with the same columns.
        first: The first file.
        target: As in `suggest`.
        repeat: As in `suggest`.
    """
    layout = find_layout(first, target)
    facts = look_at_table(path, layout, target)
    check_no_files(facts)
    axis = find_time(facts)
    note = ""
    if target:
        target = check_target(target, facts, str(path), repeat)
    else:
        excluded = () if axis is None else tuple(name for name in (axis.column, *axis.parts) if name is not None)
        target, why = choose_target(facts, str(path), repeat, excluded)
        note = f"the target is {', '.join(target)} ({why}); --target COLUMN names another one"
    if axis is None and len(facts.columns) == 1 and facts.num_rows >= LEAST_ROWS:
        axis = IN_ORDER
    plan = plan_series(facts, target, axis) if axis is not None and can_be_series(facts, target) else None
    if plan is not None and not (plan.trial is not None and plan.trial.follows_other_columns):
        suggestion = suggest_series(plan, path)
        suggestion.notes.append(
            "the rows are a time series: the future is predicted from the past, with `name: series`"
        )
    else:
        question = ask(facts, target)
        text = text_column(facts, target)
        siblings = siblings_of(path) if path.is_file() else {}
        suggestion = suggest_text_table(question, text, path) if text else suggest_table(question, path, siblings)
        if axis is not None:
            why = "" if plan is None else "; the past says little about the target, but the other columns say much"
            suggestion.notes.append(
                "the rows are in time order, but the split is random: test does not measure forecasts of the future"
                + why
            )
    if note:
        suggestion.notes.insert(0, note)
    return suggestion


def _of_folder(folder: Path, target: Sequence[str], repeat: str) -> Suggestion:
    known = torchvision_set(folder)
    if known is not None:
        return suggest_torchvision(*known)
    splits = image_splits(folder)
    if splits is None and (inner := inner_folder(folder)) is not None and not data_files(folder):
        return _of_folder(inner, target, repeat)
    if splits is not None:
        return suggest_images(folder if len(splits) > 1 else splits["train"], splits)
    files = data_files(folder)
    arrays = _arrays_of(folder)
    if arrays is not None:
        return suggest_arrays(folder, arrays)
    if not files:
        texts = next(folder.rglob("*.txt"), None)
        fix = (
            f" Texts in subfolders ({texts.relative_to(folder)}) are not read: put those of a class into one file, one "
            "text per line, or into a table with a column of texts and one of classes."
            if texts is not None
            else ""
        )
        problem = f"has no data: no table, text, array, or folders of images per class.{fix}"
        raise DataError(problem, where=str(folder))
    if len(files) == 1:
        return _of_file(files[0], target, repeat)
    train = [each for each in files if split_of(each)[0] == "train"]
    if len(train) == 1:
        suggestion = _of_file(train[0], target, repeat)
        used = {train[0].name, *(Path(str(value)).name for value in suggestion.config["data"].values())}
        others = [each.name for each in files if each.name not in used]
        suggestion.notes.append(
            f"{train[0].name} has the train samples{f'; not used: {listed(others)}' if others else ''}"
        )
        return suggestion
    if not train and all(Path(plain_name(each)).suffix.lower() == ".txt" for each in files) and not has_trees(files[0]):
        if _are_parts(files):
            return suggest_language(folder, "\n".join(map(read_text, files)))
        return suggest_class_files(folder, files)
    tables = [each for each in files if Path(plain_name(each)).suffix.lower() in SUFFIXES]
    if len(tables) > 1 and len({*map(_columns_of, tables)}) == 1 and not train:
        return _of_table(folder, tables[0], target, repeat)
    lines = "\n".join(f"  {repeat.rsplit(' ', 1)[0]} {shlex.quote(str(each))}" for each in files[:10])
    raise UsageError(
        f"has {len(files)} files that do not belong together as one data set. Choose one:\n{lines}", where=str(folder)
    )


def _are_parts(files: Sequence[Path]) -> bool:
    """Returns whether text files are parts of one text, such as `chapter1.txt`, and not classes."""
    stems = {re.sub(r"[\d_-]+", "", plain_name(each).rsplit(".", 1)[0]) for each in files}
    return len(stems) == 1 and len(files) > 1


def _columns_of(path: Path) -> tuple[str, ...]:
    from nnzoo.data.files.repairs import Repairs
    from nnzoo.data.tables.table import open_table
    from nnzoo.suggestion.facts import options_of

    return open_table([path], options_of(find_layout(path)), (), repairs=Repairs()).names


def _arrays_of(path: Path) -> dict[str, Any] | None:
    """Returns the arrays of an .npz file, an .npy file or a folder of .npy files; None for other data."""
    try:
        if path.is_dir():
            files = [each for each in path.glob("*.npy") if not each.name.startswith(".")]
            return {each.stem: np.load(each, mmap_mode="r", allow_pickle=False) for each in files} or None
        start = start_of(path, 8) if is_on_disk(path) or compression_of(start_of(path)) == "zip" else b""
        if start.startswith(b"\x93NUMPY"):
            return {"x": np.load(path, mmap_mode="r", allow_pickle=False)}
        if start.startswith(b"PK") and path.suffix.lower() == ".npz":
            with np.load(path, allow_pickle=False) as opened:
                return {name: opened[name] for name in opened.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"can't be read as arrays: {str(error).splitlines()[0]}", where=str(path)) from None
    return None


def config_stem(path: Path) -> str:
    """Returns the name of the config for a file or folder, without its suffixes: `adult-train`."""
    name = path.resolve().name if path.is_dir() else plain_name(path).rsplit(".", 1)[0] or plain_name(path)
    return re.sub(r"[^\w.-]+", "_", name).strip("._-") or "data"


def shell_command(command: str, path: str, target: Sequence[str] = ()) -> str:
    """Returns a command with its arguments, as it is written in a shell."""
    return " ".join([command, shlex.quote(path), *(f"--target {shlex.quote(each)}" for each in target)])


def free_path(path: Path) -> Path:
    """Returns a path that does not exist yet: x.yaml, x-2.yaml, ..."""
    found, index = path, 1
    while found.exists():
        index += 1
        found = path.with_name(f"{path.stem}-{index}{path.suffix}")
    return found


def written(suggestion: Suggestion, path: Path, command: str) -> str:
    """Returns the text of a config file, after checking that it is valid.

    Args:
        suggestion: The config.
        path: The file that it will be written to, which its paths are relative to.
        command: The command that wrote it.
    """
    text = to_commented_yaml(suggestion, path.parent, command)
    load_config({"name": config_stem(path), **suggestion.config})
    return text
