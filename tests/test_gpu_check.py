"""scripts/gpu_check.py: a part that fails or takes too long is recorded, and the others still run."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
FACTS = {"gpu": None, "processor": "a processor", "date": "2026-01-01", "versions": {"torch": "2", "nnzoo": "1"}}


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The script as a module, on a machine without a GPU and without images."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    module = importlib.import_module("gpu_check")
    monkeypatch.setattr(module.machine, "describe", lambda _: FACTS)
    monkeypatch.delenv("NNZOO_DATA", raising=False)
    yield module
    for name in [name for name in sys.modules if name.split(".")[0] in ("gpu_check", "benchmarks")]:
        del sys.modules[name]


def run(check: ModuleType, monkeypatch: pytest.MonkeyPatch, output: Path, *arguments: str) -> tuple[int, Any, str]:
    """Runs the script, and returns its exit code, its JSON and its table."""
    monkeypatch.setattr(sys, "argv", ["gpu_check.py", "--output", str(output), *arguments])
    code = check.main()
    found = json.loads((output / "gpu_check.json").read_text(encoding="utf-8"))
    return code, found, (output / "gpu_check.md").read_text(encoding="utf-8")


def test_every_part_is_recorded(check: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One part never ends, one fails with results, and the last one passes."""
    pid = tmp_path / "pid"
    sleeps = f"import os, pathlib, time; pathlib.Path({str(pid)!r}).write_text(str(os.getpid())); time.sleep(600)"

    def measured(part: Any) -> dict[str, Any]:
        assert (part.device, part.is_small, part.is_synthetic) == ("cpu", True, True)
        rows = [{"network": "mlp", "seconds": {"limit": 0.5, "nnzoo": 0.75}, "missing": {"keras": "not installed"}}]
        raise check.PartialError("keras failed", {"rows": rows})

    parts = {
        "tests": lambda part: {"left": part.run(["-c", sleeps])},
        "epochs": measured,
        "precision": lambda part: {"seconds": {"fp32": float(part.run(["-c", "print(1.5)"]))}},
        "accuracy": lambda part: {"tries": [part.run(["-c", "raise ValueError('no')"])]},
    }
    for name, part in parts.items():
        monkeypatch.setitem(check.PARTS, name, part)
    start = time.monotonic()
    code, found, text = run(check, monkeypatch, tmp_path, "--minutes", "0.3")
    assert code == 1
    assert time.monotonic() - start < 60
    assert {name: part["status"] for name, part in found["parts"].items()} == {
        "tests": "failed",
        "epochs": "failed",
        "precision": "passed",
        "accuracy": "failed",
    }
    assert "time limit" in found["parts"]["tests"]["reason"]
    assert found["parts"]["accuracy"]["reason"] == "ValueError: no"
    assert found["parts"]["epochs"]["rows"][0]["seconds"]["nnzoo"] == 0.75
    assert found["passed"] is False
    assert "| | mlp, nnzoo | 0.7500 s per epoch, 1.50 times the limit |" in text.splitlines()
    assert "| | fp32 | 1.500 s per epoch |" in text.splitlines()
    assert "in small on the CPU" in text
    assert "synthetic images" in text
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_chosen_parts_that_pass_have_exit_code_0(
    check: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(check.PARTS, "precision", lambda _: {"seconds": {"fp32": 1.0}})
    code, found, _ = run(check, monkeypatch, tmp_path, "--parts", "precision")
    assert code == 0
    assert list(found["parts"]) == ["precision"]
    assert found["passed"] is True


def test_a_gpu_must_reach_the_target(check: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """More epochs are tried until a training reaches the target; without one, the part fails."""
    accuracies = {6: 0.91, 10: 0.935}

    def train(_: object, overrides: list[str]) -> dict[str, Any]:
        epochs = int(overrides[-1].removeprefix("train.epochs="))
        accuracy = accuracies.get(epochs, 0.92)
        common = {"epochs": epochs, "seconds": 9.0, "process_seconds": 15.0, "device": "cuda"}
        return {**common, "metrics": {"test/accuracy": accuracy}}

    monkeypatch.setattr(check.machine, "describe", lambda _: {**FACTS, "gpu": "a GPU"})
    monkeypatch.setattr(check, "images", lambda _: ([], False))
    monkeypatch.setattr(check.Check, "train", train)
    code, found, text = run(check, monkeypatch, tmp_path, "--parts", "accuracy")
    assert code == 0
    assert [each["epochs"] for each in found["parts"]["accuracy"]["tries"]] == [6, 10]
    assert text.startswith("a GPU, torch 2")
    accuracies.clear()
    code, found, _ = run(check, monkeypatch, tmp_path, "--parts", "accuracy")
    assert code == 1
    assert found["parts"]["accuracy"]["reason"] == "no training reached 0.93 (best 0.9200)"


def test_epochs_that_were_measured_before_a_failure_are_kept(
    check: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def measured(part: Any, command: list[str]) -> str:
        names = command[command.index("--contenders") + 1].split(",")
        assert "nnzoo-graphs" not in names  # on a CPU
        assert command[command.index("--devices") + 1] == "cpu"
        if "nnzoo-compile" in names:
            raise check.PartError("ended")
        turns = {name: [[1.0, 2.0, 9.0]] for name in names if name != "keras"}
        found = {"epochs": [{"network": "mlp", "turns": turns, "missing": {"keras": "not installed"}}]}
        (part.output / "epochs").mkdir(exist_ok=True)
        (part.output / "epochs" / "benchmark.json").write_text(json.dumps(found), encoding="utf-8")
        return ""

    monkeypatch.setattr(check.Check, "run", measured)
    code, found, _ = run(check, monkeypatch, tmp_path, "--parts", "epochs")
    assert code == 1
    assert found["parts"]["epochs"]["reason"] == "ended"
    [row] = found["parts"]["epochs"]["rows"]
    assert row["seconds"] == {"limit": 2.0, "nnzoo": 2.0, "nnzoo-bf16": 2.0, "lightning": 2.0}
    monkeypatch.setattr(check, "CONTENDERS", check.CONTENDERS[:1])
    assert run(check, monkeypatch, tmp_path, "--parts", "epochs")[0] == 0  # Keras is not required


@pytest.mark.slow
def test_tests_and_accuracy_in_small(check: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(check, "SMALL_IMAGES", 60)
    code, found, _ = run(check, monkeypatch, tmp_path, "--parts", "tests", "accuracy", "--minutes", "20")
    assert code == 0
    assert found["parts"]["tests"]["failed"] == []
    assert found["parts"]["tests"]["skipped"] > 10
    assert found["parts"]["accuracy"]["tries"][0]["epochs"] == 2
