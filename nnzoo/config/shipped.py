"""The configs that come with nnzoo, by name."""

from __future__ import annotations

from pathlib import Path


def shipped_folder() -> Path:
    """Returns the folder of the shipped configs: inside an installed package, or next to the package in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def shipped_configs() -> dict[str, Path]:
    """Returns the files of the shipped configs by name."""
    return {path.stem: path for path in sorted(shipped_folder().glob("*.yaml"))}
