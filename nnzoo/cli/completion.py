"""Shell completion of the names of configs, runs and kinds. `nnzoo --install-completion` enables it."""

from __future__ import annotations

from pathlib import Path

import typer


def config_names(incomplete: str) -> list[str]:
    """Returns the shipped configs, YAML files and folders that begin with the text."""
    from nnzoo.config.shipped import shipped_configs

    return sorted(_beginning_with(incomplete, [*shipped_configs(), *_paths(incomplete, (".yaml", ".yml"))]))


def run_names(context: typer.Context, incomplete: str) -> list[str]:
    """Returns the runs of `--runs-dir`, `latest`, `zoo:` names, weight files and folders that begin with the text."""
    from nnzoo.run.directory import runs
    from nnzoo.run.zoo import PREFIX, zoo_names

    found = [path.name for path in runs(Path(context.params.get("runs_dir") or "runs"))]
    latest = ["latest"] if found else []
    shipped = [f"{PREFIX}{name}" for name in zoo_names()]
    return sorted(_beginning_with(incomplete, [*found, *latest, *shipped, *_paths(incomplete, (".safetensors",))]))


def config_or_run_names(context: typer.Context, incomplete: str) -> list[str]:
    """Returns the configs and the runs that begin with the text."""
    return sorted({*config_names(incomplete), *run_names(context, incomplete)})


def config_or_sweep_names(context: typer.Context, incomplete: str) -> list[str]:
    """Returns the configs and the directories of sweeps that begin with the text."""
    folder = Path(context.params.get("runs_dir") or "runs")
    sweeps = [str(path.parent) for path in folder.glob("*/sweep.yaml")]
    return sorted({*config_names(incomplete), *_beginning_with(incomplete, sweeps)})


def lesson_names(incomplete: str) -> list[str]:
    """Returns the lessons that begin with the text."""
    from nnzoo.lessons.schema import catalog

    return _beginning_with(incomplete, list(catalog()))


def shipped_names(incomplete: str) -> list[str]:
    """Returns the shipped configs that begin with the text."""
    from nnzoo.config.shipped import shipped_configs

    return _beginning_with(incomplete, list(shipped_configs()))


def shipped_and_data_names(incomplete: str) -> list[str]:
    """Returns the shipped configs, files and folders that begin with the text."""
    return sorted({*shipped_names(incomplete), *_beginning_with(incomplete, _paths(incomplete, ()))})


def kinds(incomplete: str) -> list[str]:
    """Returns the kinds of `nnzoo list` that begin with the text."""
    from nnzoo.config.describe import KINDS

    return _beginning_with(incomplete, [*KINDS, "zoo", "runs"])


def names_of_kind(context: typer.Context, incomplete: str) -> list[str]:
    """Returns the names that begin with the text, of the kind given by the preceding argument."""
    from nnzoo.config.describe import KINDS, catalogue

    kind = context.params.get("kind")
    if kind == "runs":
        found = run_names(context, incomplete)
        return [name for name in found if name != "latest" and not name.endswith("/") and not name.startswith("zoo:")]
    if kind == "zoo":
        from nnzoo.run.zoo import zoo_names

        return _beginning_with(incomplete, zoo_names())
    return _beginning_with(incomplete, list(catalogue(kind))) if kind in KINDS else []


def config_keys(incomplete: str) -> list[str]:
    """Returns the config keys and the names of sections that begin with the text."""
    from nnzoo.config.explain import known_words

    return _beginning_with(incomplete, known_words())


def _beginning_with(incomplete: str, names: list[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _paths(incomplete: str, suffixes: tuple[str, ...]) -> list[str]:
    """Returns the folders, and the files with these suffixes, in the folder that the text names, except hidden ones.

    Without suffixes, all files are returned.
    """
    before, slash, _ = incomplete.rpartition("/")
    folder = Path(before + slash) if slash else Path()
    try:
        found = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError:
        return []
    return [
        f"{before}{slash}{path.name}{'/' if path.is_dir() else ''}"
        for path in found
        if path.is_dir() or not suffixes or path.suffix in suffixes
    ]
