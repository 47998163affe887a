"""The run directory: its name, its files, and how it is found."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from nnzoo.errors import CheckpointError, RunError, UsageError
from nnzoo.run.zoo import PREFIX, find_weights

CONFIG = "config.yaml"
ARTIFACT = "best.safetensors"
CHECKPOINT = "last.safetensors"
PREVIOUS = "previous.safetensors"
OLDER = ("last.pt", "previous.pt")
"""The checkpoints of older versions, which used pickle. They are removed with a run, and never read."""
METRICS = "metrics.csv"
HEALTH = "health.csv"
RESTARTS = "restarts.csv"
RESULT = "result.json"
SUMMARY = "summary.txt"
ENVIRONMENT = "environment.json"
LOG = "train.log"
PREDICTIONS = "predictions.csv"
CONFUSION_MATRIX = "confusion_matrix.csv"
REPORT = "report.html"
TENSORBOARD = "tensorboard"
"""The folder of the event files of TensorBoard, which may have subfolders with more of them."""

FILES = (
    *(CONFIG, ARTIFACT, CHECKPOINT, PREVIOUS, METRICS, HEALTH, RESTARTS, RESULT, SUMMARY, ENVIRONMENT, LOG),
    *(PREDICTIONS, CONFUSION_MATRIX, REPORT, *OLDER),
)


def check_options(*, resume: bool, overwrite: bool, dry_run: bool) -> None:
    """Checks that `resume` is not combined with `overwrite` or `dry_run`.

    Raises:
        UsageError: It is combined with one of them.
    """
    other = "overwrite" if overwrite else "dry_run" if dry_run else None
    if resume and other:
        raise UsageError(f"resume continues a run and can't be combined with {other}. Leave out one of the two.")


def create(runs_dir: Path, name: str, *, overwrite: bool) -> Path:
    """Creates the directory of a new run: `name`, or `name-2`, `name-3`, ... if that exists.

    Args:
        runs_dir: The folder of all runs, which is created if it is missing.
        name: The name of the run.
        overwrite: Whether `name` is used even if the run exists.

    Raises:
        RunError: The directory can't be created.
    """
    folder = runs_dir / name
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        if overwrite and folder.is_dir():
            return folder
        number = 1
        while True:
            folder = runs_dir / (name if number == 1 else f"{name}-{number}")
            try:
                # mkdir is atomic, so only one of two processes gets a name.
                folder.mkdir()
            except FileExistsError:
                number += 1
            else:
                return folder
    except OSError as error:
        raise RunError(f"can't be created: {error.strerror}.", where=str(error.filename or folder)) from None


def clear(folder: Path) -> None:
    """Removes the files of a run, and no other files.

    Raises:
        RunError: A file can't be removed.
    """
    try:
        for file in FILES:
            (folder / file).unlink(missing_ok=True)
        for events in event_files(folder / TENSORBOARD, recursive=True):
            events.unlink()
    except OSError as error:
        raise RunError(f"can't be removed: {error.strerror}.", where=str(error.filename)) from None


def event_files(folder: Path, *, recursive: bool = False) -> list[Path]:
    """Returns the event files of TensorBoard in a folder, and in its subfolders if `recursive` is set."""
    return sorted(folder.glob(f"{'**/' if recursive else ''}events.out.tfevents.*"))


def remove_leftovers(folder: Path) -> None:
    """Removes the temporary files that a killed process left behind."""
    for name in FILES:
        for leftover in folder.glob(f".{name}.*.tmp"):
            with contextlib.suppress(OSError):
                leftover.unlink()


def check_not_older(folder: Path) -> None:
    """Raises CheckpointError if a run directory has a checkpoint from an older nnzoo version."""
    for name in OLDER:
        if (folder / name).is_file():
            raise older_checkpoint(folder / name)


def older_checkpoint(path: Path) -> CheckpointError:
    """Returns the error for a checkpoint from an older nnzoo version."""
    return CheckpointError(
        "is a checkpoint of an older nnzoo version, which used pickle and can no longer be read. Finish the run with "
        "that version, or train again.",
        where=str(path),
    )


def runs(runs_dir: Path) -> Iterator[Path]:
    """Yields the runs in a folder, the oldest first."""
    if runs_dir.is_dir():
        folders = [path for path in runs_dir.iterdir() if (path / CONFIG).is_file()]
        yield from sorted(folders, key=lambda path: ((path / CONFIG).stat().st_mtime_ns, path.name))


def numbered(runs_dir: Path, name: str) -> list[Path]:
    """Returns the folders `name`, `name-2`, `name-3`, ..., the highest number first."""
    by_number: dict[int, Path] = {}
    for path in runs_dir.iterdir() if runs_dir.is_dir() else ():
        match = re.fullmatch(re.escape(name) + r"(?:-([2-9]|[1-9]\d+))?", path.name)
        if match and path.is_dir():
            by_number[int(match[1] or 1)] = path
    return [by_number[number] for number in sorted(by_number, reverse=True)]


def find_checkpoint(text: str, runs_dir: Path) -> Path:
    """Returns the file that a CHECKPOINT argument refers to.

    Args:
        text: A run directory (its best weights), best.safetensors, last.safetensors, `zoo:NAME`, a run's name, or
            `latest`.
        runs_dir: The folder in which names of runs are looked up.

    Raises:
        UsageError: There is no such file, run or shipped network.
        RunError: The run has no weights yet.
    """
    if text.startswith(PREFIX):
        return find_weights(text)
    path = Path(text)
    if path.is_file():
        if path.name in OLDER:
            raise older_checkpoint(path)
        if path.suffix != Path(ARTIFACT).suffix:
            raise UsageError(
                f"is not a checkpoint. Give a run directory, its {ARTIFACT} or its {CHECKPOINT}.", where=text
            )
        return path
    known_runs = list(runs(runs_dir))
    candidates = [path, runs_dir / text] + (known_runs[-1:] if text == "latest" else [])
    folders = [folder for folder in candidates if folder.is_dir()]
    for folder in folders:
        if (folder / ARTIFACT).is_file():
            return folder / ARTIFACT
        if (folder / CHECKPOINT).is_file() or (folder / PREVIOUS).is_file():
            raise RunError(
                "has no best weights, since no epoch was finished. "
                f"`nnzoo train {folder} --resume` continues from {CHECKPOINT}.",
                where=str(folder),
            )
        check_not_older(folder)
    if folders:
        raise UsageError(f"is not a run directory: it has no {ARTIFACT}.", where=str(folders[0]))
    known = ", ".join(run.name for run in known_runs[-8:]) or "none"
    raise UsageError(f"no such file or run. Runs in {runs_dir}: {known}.", where=text)


def find_run_folder(text: str, runs_dir: Path) -> Path:
    """Returns the run directory that an argument refers to, as `find_checkpoint` does.

    Raises:
        UsageError: There is no such run, or the argument names shipped weights, which have no run directory.
        RunError: The run has no weights yet.
    """
    file = find_checkpoint(text, runs_dir)
    if text.startswith(PREFIX):
        raise UsageError(
            "are shipped weights without a run directory. `nnzoo eval`, `predict` and `summary` accept them.",
            where=text,
        )
    return file.parent
