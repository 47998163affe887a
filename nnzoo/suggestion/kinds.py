"""What a file or folder contains: a table, texts, a text, trees, images, arrays or a data set of torchvision."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from nnzoo.data.files.contents import plain_name
from nnzoo.data.files.find import in_natural_order, is_hidden
from nnzoo.data.tables.table import SUFFIXES

SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
}
_DOCUMENTS = re.compile(
    r"^(read[_-]?me|licen[cs]e|copying|source|sources|notice|changelog|authors|citation|about|info|description)\b"
    r"|\.(md|rst|names|pdf|html?|ya?ml|json|cff|py|ipynb|log|toml|ini|cfg)$",
    re.IGNORECASE,
)


def split_of(path: Path) -> tuple[str, str]:
    """Returns the split that a file name stands for (empty if none), and the name without that word."""
    stem = plain_name(path)
    for found in re.finditer(r"[a-z]+", stem.lower()):
        split = SPLIT_WORDS.get(found[0])
        if split is not None:
            return split, (stem[: found.start()] + stem[found.end() :]).lower()
    return "", stem.lower()


def is_document(path: Path) -> bool:
    """Returns whether a file describes data instead of containing it: a readme, a licence."""
    return _DOCUMENTS.search(path.name) is not None


def data_files(folder: Path) -> list[Path]:
    """Returns the files of a folder that may contain data, in natural order."""
    files = [each for each in folder.iterdir() if each.is_file() and not is_hidden(each) and not is_document(each)]
    return in_natural_order(files)


def siblings_of(path: Path) -> dict[str, Path]:
    """Returns the val and test files that belong to a train file, by their names: `adult-test.csv`."""
    split, rest = split_of(path)
    if split != "train":
        return {}
    return {name: each for name, each in named_splits(data_files(path.parent), rest).items() if name != "train"}


def named_splits(files: Iterable[Path], rest: str) -> dict[str, Path]:
    """Returns the files of each split whose names have the same rest."""
    found: dict[str, Path] = {}
    for each in files:
        split, other = split_of(each)
        if split and other == rest:
            found.setdefault(split, each)
    return found


def is_table_name(path: Path) -> bool:
    """Returns whether a file has the suffix of a table, except .txt, which may be anything."""
    return Path(plain_name(path)).suffix.lower() in set(SUFFIXES) - {".txt"}
