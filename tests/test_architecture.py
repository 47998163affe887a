"""The floors of the house: what may import what, and what must never import torch."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "nnzoo"

FLOORS = {
    "errors": 0,
    "numbers": 0,
    "log": 1,
    "models": 1,
    "summaries": 1,
    "config": 2,
    "data": 2,
    "run": 2,
    "training": 3,
    "builders": 4,
    "experiment": 5,
    "api": 6,
    "doctor": 6,
    "cli": 7,
    "__main__": 8,
    "__init__": 8,
}


def module_name(path: Path) -> str:
    """`nnzoo/config/base.py` -> "nnzoo.config.base"; a package's `__init__.py` -> the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(path: Path) -> Iterator[str]:
    """The nnzoo modules that a file imports anywhere in it, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "nnzoo")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "nnzoo":
            assert node.level == 0
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else str(node.module)


def room(module: str) -> str:
    """The file or folder right below nnzoo."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


EDGES = {name: sorted(set(imports(path)) - {name}) for name, path in MODULES.items()}


def test_every_room_has_a_floor() -> None:
    assert {room(name) for name in MODULES} == set(FLOORS)


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_down_or_stay_in_the_room(name: str) -> None:
    wrong = [
        target for target in EDGES[name] if room(target) != room(name) and not FLOORS[room(target)] < FLOORS[room(name)]
    ]
    assert not wrong, f"{name} (floor {FLOORS[room(name)]}) imports {wrong}"


def test_no_cycles() -> None:
    """A package's own `__init__` gathers names from its files; the files must not import the package back."""
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            for target in EDGES[name]:
                visit(target, (*path, name))
            done.add(name)

    for name in MODULES:
        visit(name, ())


def test_config_has_never_heard_of_torch() -> None:
    for name, path in MODULES.items():
        if room(name) in ("config", "errors", "log"):
            roots = {
                (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(node, ast.Import | ast.ImportFrom)
                for alias in node.names
            }
            assert not {root.split(".")[0] for root in roots} & {"torch", "numpy", "torchvision", "sklearn"}, name


def test_models_have_never_heard_of_a_config() -> None:
    for name in MODULES:
        if room(name) == "models":
            assert not [target for target in EDGES[name] if room(target) not in ("models", "errors")], name


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["train", "--help"],
        ["--version"],
        ["list"],
        ["list", "models"],
        ["list", "models", "mlp"],
        ["list", "configs"],
        ["validate", "digits_mlp"],
        ["validate", "digits_mlp", "--resolved", "--json"],
        ["schema"],
        ["train", "digits_mlp", "optimizer.lr=fast"],
    ],
)
def test_words_never_import_torch(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import json, sys; from nnzoo.cli.app import run; code = run(json.loads(sys.argv[1])); "
        "print(json.dumps([code, [m for m in ('torch', 'numpy', 'sklearn', 'matplotlib') if m in sys.modules]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(arguments)], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    exit_code, heavy = json.loads(done.stdout.splitlines()[-1])
    assert heavy == []
    assert exit_code == (2 if arguments[-1] == "optimizer.lr=fast" else 0)


def test_importing_nnzoo_does_not_import_torch() -> None:
    code = "import nnzoo, sys; assert 'torch' not in sys.modules; assert 'train' in dir(nnzoo)"
    subprocess.run([sys.executable, "-c", code], check=True)
