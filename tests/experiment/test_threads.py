"""The number of compute threads: a fixed rule, the config, the environment, the checkpoint."""

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nnzoo
from nnzoo.builders import build_preprocess
from nnzoo.cli.app import run as command
from nnzoo.data import Preprocess
from nnzoo.errors import InterruptedRunError
from nnzoo.experiment import threads
from nnzoo.experiment.train.finished import Run
from nnzoo.run.checkpoint import load_checkpoint, save_checkpoint
from nnzoo.training.evaluate import Evaluation, evaluate

SMALL = {"name": "mlp", "hidden": [16]}
# 2 * (64 * 512 + 512 * 512 + 512 * 10) FLOPs per sample
LARGE = {"name": "mlp", "hidden": [512, 512]}
# 2 * 3 * (8 * H + H * H) FLOPs per sample in each of the 8 steps: 0.7 and 26 million per batch of 64
SMALL_STEPS, LARGE_STEPS = {"name": "gru", "hidden_size": 40}, {"name": "gru", "hidden_size": 256}


@pytest.fixture(autouse=True)
def four_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """torch would use eight threads on four cores, and no environment variable is set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "available_cores", lambda: 4)
    before = torch.get_num_threads()
    torch.set_num_threads(8)
    yield
    torch.set_num_threads(before)


def train(model: dict[str, Any], *, data: Any = "digits", **settings: Any) -> Run:
    config = {"name": "x", "data": data, "model": model, "train": {"epochs": 1, "batch_size": 64, **settings}}
    return nnzoo.train(config, quiet=True)


@pytest.mark.parametrize(
    ("model", "settings", "expected"),
    [
        (SMALL, {}, 1),
        (LARGE, {}, 4),
        (LARGE, {"batch_size": 4}, 1),
        (SMALL, {"batch_size": "full"}, 1),
        (LARGE, {"batch_size": "full"}, 4),
        (SMALL, {"num_threads": 2}, 2),
        (LARGE, {"num_threads": 6}, 6),
        (SMALL_STEPS, {}, 1),
        (LARGE_STEPS, {}, 4),
        (LARGE_STEPS, {"batch_size": 2}, 1),
        (SMALL_STEPS, {"batch_size": 256}, 4),
    ],
)
def test_the_number_of_threads_depends_on_the_work_per_batch(
    at_step: Callable[..., None], model: dict[str, Any], settings: dict[str, Any], expected: int
) -> None:
    recorded: list[int] = []
    at_step(1, lambda: recorded.append(torch.get_num_threads()))
    run = train(model, **settings)
    assert recorded == [expected]
    assert json.loads((run.run_dir / "environment.json").read_text())["num_threads"] == expected
    assert torch.get_num_threads() == 8


@pytest.mark.parametrize(("batch_size", "expected"), [(16, 1), ("full", 4)])
def test_many_small_operations_use_one_thread(
    at_step: Callable[..., None], batch_size: int | str, expected: int
) -> None:
    # 70 operations with 9 million FLOPs per batch of 16, and 67 million per batch of all 125 train rows
    recorded: list[int] = []
    at_step(1, lambda: recorded.append(torch.get_num_threads()))
    train({"name": "tabular"}, data="wine", batch_size=batch_size)
    assert recorded == [expected]


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "MKL_NUM_THREADS"])
def test_environment_variables_set_the_number(
    at_step: Callable[..., None], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "8")
    recorded: list[int] = []
    at_step(1, lambda: recorded.append(torch.get_num_threads()))
    train(SMALL)
    assert recorded == [8]


@pytest.mark.parametrize(
    ("model", "settings"), [(LARGE, {}), (SMALL, {}), (LARGE, {"num_threads": 3}), (SMALL_STEPS, {}), (LARGE_STEPS, {})]
)
def test_eval_uses_the_threads_of_training(
    capsys: pytest.CaptureFixture[str], model: dict[str, Any], settings: dict[str, Any]
) -> None:
    run = train(model, **settings)
    capsys.readouterr()
    for split in ("val", "test"):
        assert command(["eval", str(run.run_dir), "--split", split, "--json"]) == 0
        metrics = json.loads(capsys.readouterr().out)["metrics"]
        assert {f"{split}/{name}": value for name, value in metrics.items()}.items() <= run.metrics.items()


@pytest.mark.parametrize(("model", "settings"), [(LARGE, {}), (SMALL, {}), (LARGE, {"batch_size": "full"})])
def test_new_data_uses_the_threads_of_a_split(
    at_step: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model: dict[str, Any],
    settings: dict[str, Any],
) -> None:
    x = torch.randn(300, 64, generator=torch.Generator().manual_seed(0)).numpy()
    np.savez("data.npz", x=x[:200], y=np.arange(200) % 10, x_test=x[200:], y_test=np.arange(100) % 10)
    np.savez("new.npz", x=x[200:], y=np.arange(100) % 10)
    recorded: list[int] = []

    def measure(*given: Any, **named: Any) -> Evaluation:
        recorded.append(torch.get_num_threads())
        return evaluate(*given, **named)

    at_step(1, lambda: recorded.append(torch.get_num_threads()))
    run = train(model, data={"name": "arrays", "path": "data.npz"}, **settings)
    capsys.readouterr()
    monkeypatch.setattr("nnzoo.experiment.evaluate.evaluate.evaluate", measure)
    found = []
    for of in (["--split", "test"], ["--data", "new.npz"]):
        assert command(["eval", str(run.run_dir), *of, "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out)["metrics"])
    assert found[0] == found[1]
    assert recorded == [recorded[0]] * 3


def test_a_resumed_run_keeps_the_threads_of_its_checkpoint(
    at_step: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_step(3, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(InterruptedRunError):
        train(SMALL)
    saved = load_checkpoint(Path("runs/x/last.safetensors"))
    assert (saved["data_threads"], saved["num_threads"]) == (4, 1)
    saved |= {"data_threads": 2, "num_threads": 3}
    save_checkpoint(Path("runs/x/last.safetensors"), saved)
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    recorded: list[int] = []

    def fit(*given: Any) -> Preprocess:
        recorded.append(torch.get_num_threads())
        return build_preprocess(*given)

    monkeypatch.setattr("nnzoo.experiment.pretrained.preprocessing.build_preprocess", fit)
    at_step(1, lambda: recorded.append(torch.get_num_threads()))
    nnzoo.train("runs/x", resume=True, quiet=True)
    assert recorded == [2, 3]


def test_only_a_number_that_differs_from_the_rule_is_logged(at_step: Callable[..., None]) -> None:
    for _ in range(2):
        at_step(3, lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(InterruptedRunError):
            nnzoo.train({"name": "x", "data": "digits", "model": SMALL}, resume=True, quiet=True)
        assert "threads as before" not in Path("runs/x/train.log").read_text()
    saved = load_checkpoint(Path("runs/x/last.safetensors")) | {"num_threads": 3}
    save_checkpoint(Path("runs/x/last.safetensors"), saved)
    at_step(3, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(InterruptedRunError):
        nnzoo.train("runs/x", resume=True, quiet=True)
    assert Path("runs/x/train.log").read_text().count("threads as before") == 1


def test_predict_and_doctor_use_the_number_of_the_config(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez("data.npz", x=np.eye(20, 64), y=np.arange(20) % 2)
    np.save("new.npy", np.eye(3, 64))
    train(SMALL, data={"name": "arrays", "path": "data.npz"}, num_threads=3)
    recorded: list[int] = []
    plain = torch.nn.Linear.forward

    def forward(self: torch.nn.Linear, inputs: torch.Tensor) -> torch.Tensor:
        recorded.append(torch.get_num_threads())
        return plain(self, inputs)

    monkeypatch.setattr(torch.nn.Linear, "forward", forward)
    for settings in (["predict", "runs/x", "new.npy"], ["doctor", "runs/x"], ["doctor", "runs/x/config.yaml"]):
        recorded.clear()
        assert command(settings) in (0, 5)
        assert set(recorded) == {3}
    assert torch.get_num_threads() == 8
    capsys.readouterr()
