"""The run directory: its name, its files, and how one is found again."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from nnzoo.errors import RunError, UsageError

CONFIG = "config.yaml"
ARTIFACT = "best.safetensors"
CHECKPOINT = "last.pt"
METRICS = "metrics.csv"
RESULT = "result.json"
SUMMARY = "summary.txt"
ENVIRONMENT = "environment.json"
LOG = "train.log"
PREDICTIONS = "predictions.csv"
CONFUSION_MATRIX = "confusion_matrix.csv"

FILES = (CONFIG, ARTIFACT, CHECKPOINT, METRICS, RESULT, SUMMARY, ENVIRONMENT, LOG, PREDICTIONS, CONFUSION_MATRIX)


def create(runs_dir: Path, name: str, *, overwrite: bool) -> Path:
    """A directory of its own for a new run: `name`, or `name-2`, `name-3`, ... where that is taken.

    Args:
        runs_dir: Made where it is missing.
        name: Of the run.
        overwrite: Take `name` and remove the files of the run that is there.

    Raises:
        RunError: It can't be made.
    """
    folder = runs_dir / name
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        if overwrite and folder.is_dir():
            for file in FILES:
                (folder / file).unlink(missing_ok=True)
            return folder
        number = 1
        while True:
            folder = runs_dir / (name if number == 1 else f"{name}-{number}")
            try:
                # mkdir decides between two processes that want the same name.
                folder.mkdir()
            except FileExistsError:
                number += 1
            else:
                return folder
    except OSError as error:
        raise RunError(f"can't be made: {error.strerror}.", where=str(folder)) from None


def discard(folder: Path) -> None:
    """Removes a run directory in which nothing was kept."""
    shutil.rmtree(folder, ignore_errors=True)


def runs(runs_dir: Path) -> Iterator[Path]:
    """Every run below a folder, the oldest first."""
    if runs_dir.is_dir():
        found = [path for path in runs_dir.iterdir() if (path / CONFIG).is_file()]
        yield from sorted(found, key=lambda path: ((path / CONFIG).stat().st_mtime_ns, path.name))


def newest_of_name(runs_dir: Path, name: str) -> Path | None:
    """The run of a name with the highest number, if there is one."""
    numbered = []
    for path in runs_dir.iterdir() if runs_dir.is_dir() else ():
        match = re.fullmatch(re.escape(name) + r"(?:-(\d+))?", path.name)
        if match and path.is_dir():
            numbered.append((int(match[1] or 1), path))
    return max(numbered)[1] if numbered else None


def find_checkpoint(text: str, runs_dir: Path) -> Path:
    """The file that a CHECKPOINT argument means.

    Args:
        text: A run directory (its best weights), a best.safetensors or last.pt, a run's name, or `latest`.
        runs_dir: Where names are looked up.

    Raises:
        UsageError: There is no such thing.
        RunError: The run holds no weights yet.
    """
    path = Path(text)
    if path.is_file():
        return path
    if not path.is_dir():
        named = runs_dir / text
        newest = list(runs(runs_dir))
        if text == "latest" and newest:
            named = newest[-1]
        if not named.is_dir():
            known = ", ".join(run.name for run in newest[-8:]) or "none"
            raise UsageError(f"no such file or run. Runs in {runs_dir}: {known}.", where=text)
        path = named
    if (path / ARTIFACT).is_file():
        return path / ARTIFACT
    if (path / CHECKPOINT).is_file():
        raise RunError(
            f"holds no best weights: no epoch was finished. `nnzoo train {path} --resume` goes on from {CHECKPOINT}.",
            where=str(path),
        )
    raise UsageError(f"a folder without {ARTIFACT}; it is no run directory.", where=str(path))
