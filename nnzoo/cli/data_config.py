"""Configs for data on the command line: `nnzoo init FILE` and `nnzoo train FILE`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from nnzoo.suggestion.suggestion import Suggestion

_CONFIG_SUFFIXES = (".yaml", ".yml", ".json")
_CONFIG_KEYS = re.compile(rb"^(data|model|extends|seed|train):", re.MULTILINE)


def is_data(text: str, target: Sequence[str]) -> bool:
    """Returns whether a CONFIG argument is data to train on, not a config, a run directory or a shipped config."""
    from nnzoo.config.shipped import shipped_configs

    path = Path(text)
    if not path.exists() or path.suffix.lower() in _CONFIG_SUFFIXES:
        return False
    if path.is_dir():
        return not (path / "config.yaml").is_file() and (bool(target) or text not in shipped_configs())
    try:
        with path.open("rb") as file:
            return _CONFIG_KEYS.search(file.read(4096)) is None
    except OSError:
        return False


def check_no_target(config: str, target: Sequence[str]) -> None:
    """Checks that there is no --target for a config, which has its own.

    Raises:
        UsageError: There is one.
    """
    from nnzoo.errors import UsageError

    if target and Path(config).exists():
        raise UsageError(f"is for data, but {config} is a config. Override data.target={target[0]}.", where="--target")
    if target:
        raise UsageError("there is no such file or folder of data. Check the path.", where=config)


def config_for_training(
    text: str,
    target: Sequence[str],
    *,
    name: str | None,
    runs_dir: str,
    resume: bool,
    overwrite: bool,
    dry_run: bool,
    out: TextIO | None,
) -> Any:
    """Returns the config to train on data: a file next to the run directory, or a dict for a dry run.

    Args:
        text: The file or folder.
        target: The columns to predict; empty to choose one.
        name: The name of the run; None for that of the data.
        runs_dir: The folder of the run directories.
        resume: Whether the config of an earlier run of that name is used.
        overwrite: Whether it is replaced.
        dry_run: Whether no file is written.
        out: Where the essential lines of the config are printed; None for nowhere.
    """
    from nnzoo.run.files import write_text
    from nnzoo.suggestion.suggest import config_stem, free_path, shell_command, suggest, written

    stem = name or config_stem(Path(text))
    path = Path(runs_dir) / f"{stem}.yaml"
    if resume and path.is_file():
        return str(path)
    suggestion = suggest(Path(text), target, shell_command("nnzoo train", text))
    if dry_run:
        report(suggestion, "", out)
        return {"name": stem, **suggestion.config}
    content = written(suggestion, path, shell_command("nnzoo train", text, target))
    if path.exists() and not overwrite and path.read_text(encoding="utf-8") != content:
        path = free_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, content)
    report(suggestion, str(path), out)
    return str(path)


def report(suggestion: Suggestion, path: str, out: TextIO | None) -> None:
    """Prints what was found and the essential lines of a config, and logs the warnings."""
    from nnzoo import log
    from nnzoo.config.yaml_writer import flow

    for warning in suggestion.warnings:
        log.data_warning("%s", warning)
    if out is None:
        return
    print(f"{suggestion.summary()}", file=out)
    for note in suggestion.notes:
        print(f"  {note}", file=out)
    print(f"config{f' ({path})' if path else ''}:", file=out)
    for key, value in suggestion.config.items():
        line = f"  {key}: {flow(value)}"
        print(line if len(line) <= 160 else f"{line[:157]}...", file=out)
    out.flush()
