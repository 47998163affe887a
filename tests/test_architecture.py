"""The layers of the package: which modules may import which, and which must never import torch."""

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

LAYERS = {
    "errors": 0,
    "folders": 0,
    "numbers": 0,
    "log": 1,
    "models": 1,
    "summaries": 1,
    "config": 2,
    "data": 2,
    "run": 2,
    "suggestion": 3,
    "training": 3,
    "builders": 4,
    "comparison": 5,
    "experiment": 5,
    "doctor": 6,
    "recipes": 6,
    "report": 7,
    "export": 8,
    "lessons": 8,
    "api": 8,
    "estimators": 8,
    "search": 8,
    "trace": 8,
    "cli": 9,
    "__main__": 10,
    "__init__": 10,
}


def module_name(path: Path) -> str:
    """Returns the module of a file: "nnzoo.config.base" for `nnzoo/config/base.py`, the package for `__init__.py`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(path: Path) -> Iterator[str]:
    """Yields the nnzoo modules that a file imports, including imports inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "nnzoo")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "nnzoo":
            assert node.level == 0
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else str(node.module)


def package_of(module: str) -> str:
    """Returns the file or folder directly in nnzoo that has a module."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


EDGES = {name: sorted(set(imports(path)) - {name}) for name, path in MODULES.items()}


def test_every_package_has_a_layer() -> None:
    assert {package_of(name) for name in MODULES} == set(LAYERS)


@pytest.mark.parametrize("name", MODULES)
def test_modules_import_only_lower_layers_or_their_own_package(name: str) -> None:
    wrong = [
        target
        for target in EDGES[name]
        if package_of(target) != package_of(name) and not LAYERS[package_of(target)] < LAYERS[package_of(name)]
    ]
    assert not wrong, f"{name} (layer {LAYERS[package_of(name)]}) imports {wrong}"


def test_no_cycles() -> None:
    """An `__init__` imports the files of its package; the files must not import the package."""
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            for target in EDGES[name]:
                visit(target, (*path, name))
            done.add(name)

    for name in MODULES:
        visit(name, ())


def test_config_does_not_import_torch() -> None:
    for name, path in MODULES.items():
        if package_of(name) in ("config", "errors", "log"):
            roots = {
                (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(node, ast.Import | ast.ImportFrom)
                for alias in node.names
            }
            assert not {root.split(".")[0] for root in roots} & {"torch", "numpy", "torchvision", "sklearn"}, name


def test_models_import_only_models_and_errors() -> None:
    for name in MODULES:
        if package_of(name) == "models":
            assert not [target for target in EDGES[name] if package_of(target) not in ("models", "errors")], name


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
        ["list", "zoo"],
        ["validate", "digits_mlp"],
        ["validate", "digits_mlp", "--resolved", "--json"],
        ["schema"],
        ["explain", "optimizer.lr"],
        ["lesson"],
        ["train", "digits_mlp", "optimizer.lr=fast"],
    ],
)
def test_commands_without_a_network_do_not_import_torch(arguments: list[str], tmp_path: Path) -> None:
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
    code = "import nnzoo, sys; assert not {'torch', 'sklearn'} & set(sys.modules); assert 'NNClassifier' in dir(nnzoo)"
    subprocess.run([sys.executable, "-c", code], check=True)
