"""The command line, called in this process."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Sequence
from typing import Any

from nnzoo.cli.app import run


def answer_of(*arguments: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns the output of a command with `--json`."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([*(os.fspath(each) for each in arguments), "--json"])
    assert code == 0, out.getvalue() + err.getvalue()
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def predicted(*arguments: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Returns the rows of `predict`."""
    found: list[dict[str, Any]] = answer_of("predict", *arguments)["predictions"]
    return found


def values_in(rows: Sequence[dict[str, Any]], name: str) -> list[Any]:
    return [row[name] for row in rows]
