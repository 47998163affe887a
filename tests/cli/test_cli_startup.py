"""Commands that need no network start without importing torch."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

LIGHT = [
    ["--help"],
    ["train", "--help"],
    ["validate", "digits_mlp"],
    ["validate", "digits_mlp", "--resolved", "--json"],
    ["validate", "broken.yaml"],
    ["validate", "nope"],
    ["train", "broken.yaml"],
    ["train", "nope"],
    ["train", "digits_mlp", "optimizer.lr=x"],
    ["train", "digits_mlp", "--resume", "--dry-run"],
    ["eval", "x", "--split", "all"],
    ["eval", "x", "--fail-under", "nope=1"],
    ["list"],
    ["list", "models"],
    ["list", "optimizers", "adam", "--json"],
    ["list", "runs"],
    ["schema"],
    ["init", "digits_mlp"],
    ["nope"],
]
HEAVY = {"torch", "numpy", "sklearn", "matplotlib", "scipy", "pandas", "torchvision", "safetensors", "tqdm"}


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_nothing_heavy_is_imported(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("data: digits\nmodel: mlp\ntrain: {epohcs: 3}\n")
    program = (
        "import json, sys; from nnzoo.cli.app import run; code = run(sys.argv[1:]); "
        "print(json.dumps([code, sorted({name.partition('.')[0] for name in sys.modules})]), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        check=True,
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code in (0, 2)
    assert "nnzoo" in modules
    assert not HEAVY & set(modules)


def seconds(arguments: list[str], folder: Path) -> float:
    """Returns the processor time of the fastest of three processes, which depends little on other load."""
    measured = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], capture_output=True, cwd=folder, timeout=120, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        measured.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(measured)


@pytest.fixture(scope="module")
def torch_seconds(tmp_path_factory: pytest.TempPathFactory) -> float:
    return seconds(["-c", "import torch"], tmp_path_factory.mktemp("torch"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [["--help"], ["validate", "digits_mlp"], ["list"], ["list", "models"], ["schema"]], ids=" ".join
)
def test_start_up_takes_much_less_than_importing_torch(
    arguments: list[str], torch_seconds: float, tmp_path: Path
) -> None:
    assert seconds(["-m", "nnzoo", *arguments], tmp_path) < 0.4 * torch_seconds


@pytest.mark.parametrize("data", ["digits", "{name: csv, path: t.csv, target: y}"])
def test_a_small_training_does_not_import_the_compiler(data: str, tmp_path: Path) -> None:
    """torch's compiler takes longer to import than torch."""
    rows = "\n".join(f"{row % 9},{row % 4},{'ab'[row % 2]}" for row in range(60))
    (tmp_path / "t.csv").write_text(f"u,v,y\n{rows}\n")
    (tmp_path / "x.yaml").write_text(f"data: {data}\nmodel: {{name: mlp, hidden: [4]}}\ntrain: {{epochs: 1}}\n")
    program = (
        "import json, sys; from nnzoo.cli.app import run; code = run(['train', 'x.yaml', '-q']); "
        "print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, timeout=300, check=True
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 0
    unneeded = {"torch._dynamo", "sympy", "sklearn", "scipy", "torchvision", "matplotlib"}
    assert not unneeded & set(modules)
