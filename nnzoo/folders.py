"""Where the data sets are that nnzoo does not contain."""

from __future__ import annotations

import os
from pathlib import Path

DATA_VARIABLE = "NNZOO_DATA"
"""The environment variable that names the folder of data sets."""


def data_folder() -> Path:
    """Returns the folder of data sets: that of NNZOO_DATA, or `data` in the current folder."""
    return Path(os.environ.get(DATA_VARIABLE) or "data").expanduser()


def missing_data_hint(path: Path) -> str:
    """Returns what to do about a missing file below the folder of data sets; empty for any other file."""
    folder = data_folder().absolute()
    return f" Put it there, or set {DATA_VARIABLE} to the folder of your data sets." if folder in path.parents else ""
