"""Chooses the JavaScript files that the page of a network needs, and joins them into one script."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "js"

_LAYER_FILES = {
    "linear": "dense",
    "batch_norm": "dense",
    "flatten": "dense",
    "conv": "conv",
    "pool": "conv",
    "global_pool": "conv",
    "recurrent": "recurrent",
    "image_rows": "recurrent",
    "pool_steps": "recurrent",
    "each_step": "recurrent",
    "embedding": "sequence",
    "channels_first": "sequence",
    "relative": "sequence",
    "random_features": "features",
}
"""The file of each kind of layer; all others are activations."""


def computation(model: dict[str, Any]) -> list[str]:
    """Returns the names of the files that compute the answers of a model."""
    kinds = set(_kinds(model["layers"]))
    found = {_LAYER_FILES.get(kind, "activations") for kind in kinds}
    found |= {"dense"} if found & {"conv"} else set()  # it has `withoutPadding`
    columns = {column["kind"] for column in model["input"].get("columns", ())}
    reader = [model["input"]["kind"], *(["dates"] if "date" in columns else [])]
    return ["network", *sorted(found), "scaling", "answer", *reader]


def controls(model: dict[str, Any]) -> list[str]:
    """Returns the names of the files with the controls of a model."""
    given = model["input"]
    found = ["page"]
    if given["kind"] != "table":
        return [*found, f"{given['kind']}_controls"]
    if given["steps"]:
        return [*found, "table_controls", "step_controls"]
    return [*found, *(["map"] if len(given["columns"]) <= 2 else []), "table_controls"]


def _kinds(layers: list[dict[str, Any]]) -> Iterator[str]:
    for layer in layers:
        yield layer["kind"]
        yield from _kinds(layer.get("layers", []))


def script(names: list[str], end: str) -> str:
    """Returns files as one script without global names.

    Args:
        names: The names of the files, in order.
        end: The statement after them.
    """
    return "\n".join(['(function () {\n"use strict";', *map(_read, names), end, "})();"])


@cache
def _read(name: str) -> str:
    return (_FOLDER / f"{name}.js").read_text(encoding="utf-8")
