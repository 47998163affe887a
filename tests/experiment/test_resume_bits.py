from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nnzoo
from nnzoo.cli.app import run as command
from nnzoo.errors import CheckpointError, DataError, InterruptedRunError, UsageError
from nnzoo.experiment.train.finished import Run
from nnzoo.run.checkpoint import load_checkpoint
from nnzoo.run.tensor_file import write_tensor_file
from nnzoo.training import checkpoints

BASE: dict[str, Any] = {
    "name": "x",
    "data": {"name": "blobs", "samples": 120, "noise": 3.0},
    "model": {"name": "mlp", "hidden": [8, 6], "batch_norm": True, "dropout": 0.3},
    "train": {"epochs": 5, "batch_size": 8, "early_stopping": None},
}
CONFIGS: dict[str, dict[str, Any]] = {
    "everything at once": {
        "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True},
        "scheduler": {"name": "step", "step_size": 7, "gamma": 0.7, "interval": "step", "warmup_epochs": 2},
        "train.accumulate_grad_batches": 3,
        "train.clip_grad_norm": 0.5,
        "train.ema": 0.9,
        "regularization": {"l1": 1e-3, "l2": 1e-2},
    },
    "plateau and stopping": {
        "optimizer": {"name": "adamw", "lr": 0.1},
        "scheduler": {"name": "plateau", "patience": 0, "warmup_epochs": 1},
        "train.early_stopping": {"patience": 2},
        "train.epochs": 12,
    },
    "regression": {
        "data": {"name": "sine", "samples": 100},
        "model": {"name": "mlp", "hidden": [8], "dropout": 0.1},
        "preprocess": {"scale_target": True},
        "optimizer": {"name": "rmsprop", "lr": 1e-2},
        "scheduler": {"name": "cosine", "T_max": 20, "interval": "step"},
        "train.metrics": ["mae", "rmse", "r2"],
    },
    "weighted classes": {
        "loss": {"name": "cross_entropy", "class_weights": "balanced", "label_smoothing": 0.1},
        "optimizer": {"name": "adagrad", "lr": 0.1},
        "scheduler": {"name": "multistep", "milestones": [2, 4]},
        "train.metrics": ["f1", "recall"],
        "train.monitor": "val/f1",
    },
    # Interrupted in the last step of the frozen epoch (4), and after it (7).
    "unfreezing": {
        "model.freeze_epochs": 1,
        "optimizer": {"name": "sgd", "lr": 0.05, "backbone_lr": 0.01, "momentum": 0.9},
        "scheduler": {"name": "one_cycle", "interval": "step"},
        "train.accumulate_grad_batches": 3,
        "train.early_stopping": {"patience": 1},
        "train.ema": 0.9,
    },
    "full batch": {"train.batch_size": "full", "optimizer": {"name": "adam", "lr": 0.1}},
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # The runs are too short for a checkpoint between the first and the last otherwise.
    monkeypatch.setattr(checkpoints, "MIN_SECONDS_BETWEEN_CHECKPOINTS", 0.0)


def train(runs_dir: str, overrides: dict[str, Any] | None = None, **options: Any) -> Run:
    return nnzoo.train(BASE, overrides=overrides or {}, runs_dir=runs_dir, quiet=True, **options)


def same(first: Path, second: Path) -> None:
    """Asserts that both runs have the same weights, history and result, except for times and paths."""
    assert (first / "best.safetensors").read_bytes() == (second / "best.safetensors").read_bytes()
    tables = [(folder / "metrics.csv").read_text().splitlines() for folder in (first, second)]
    assert tables[0][0].endswith(",seconds")
    cut = [[line.rsplit(",", 1)[0] for line in table] for table in tables]
    assert cut[0] == cut[1]
    results = [json.loads((folder / "result.json").read_text()) for folder in (first, second)]
    for result in results:
        del result["run_dir"], result["seconds"]
    assert results[0] == results[1]
    for name in ("predictions.csv", "confusion_matrix.csv", "config.yaml"):
        if (first / name).exists() or (second / name).exists():
            assert (first / name).read_bytes() == (second / name).read_bytes()
    assert not list(second.glob(".*"))


@pytest.mark.parametrize("step", [1, 4, 7, 15])
@pytest.mark.parametrize("config", CONFIGS)
def test_an_interrupted_and_resumed_run_equals_an_uninterrupted_one(
    config: str, step: int, at_step: Callable[..., None]
) -> None:
    if CONFIGS[config].get("train.batch_size") == "full":
        step = min(step, 4)
    train("uninterrupted", CONFIGS[config])
    at_step(step, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(InterruptedRunError, match="the same command with --resume continues") as caught:
        train("parts", CONFIGS[config])
    result = json.loads(Path("parts/x/result.json").read_text())
    assert caught.value.result == result
    assert result["status"] == "interrupted"
    assert load_checkpoint(Path("parts/x/last.safetensors"))["step"] == step
    train("parts", CONFIGS[config], resume=True)
    same(Path("uninterrupted/x"), Path("parts/x"))


def test_a_run_interrupted_at_every_step(at_step: Callable[..., None]) -> None:
    config = CONFIGS["everything at once"]
    train("uninterrupted", config)
    for _ in range(20):  # 11 batches per epoch, three per step
        at_step(1, lambda: signal.raise_signal(signal.SIGTERM))
        with pytest.raises(InterruptedRunError) as caught:
            train("parts", config, resume=True)
        assert caught.value.exit_code == 143
    train("parts", config, resume=True)
    same(Path("uninterrupted/x"), Path("parts/x"))


class Crash(BaseException):
    """An exception that is not handled, like a kill in this process."""


def crash() -> None:
    raise Crash


@pytest.mark.parametrize("checkpoint", [{"every_epochs": 2}, {"every_steps": 2, "every_epochs": None}])
@pytest.mark.parametrize("step", [1, 6, 12, 17])
def test_a_killed_run_resumes_from_an_older_checkpoint(
    step: int, checkpoint: dict[str, Any], at_step: Callable[..., None]
) -> None:
    config = CONFIGS["everything at once"] | {"train.checkpoint": checkpoint}
    train("uninterrupted", config)
    at_step(step, crash)
    with pytest.raises(Crash):
        train("parts", config)
    assert load_checkpoint(Path("parts/x/last.safetensors"))["step"] < step
    train("parts", config, resume=True)
    same(Path("uninterrupted/x"), Path("parts/x"))


def test_a_run_killed_before_the_first_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    train("uninterrupted")
    with monkeypatch.context() as patch:
        patch.setattr("nnzoo.experiment.train.record.save_checkpoint", lambda *_: crash())
        with pytest.raises(Crash):
            train("parts")
    assert sorted(file.name for file in Path("parts/x").iterdir()) == [
        "config.yaml",
        "environment.json",
        "summary.txt",
        "train.log",
    ]
    train("parts", resume=True)
    same(Path("uninterrupted/x"), Path("parts/x"))
    Path("empty/x").mkdir(parents=True)
    train("empty", resume=True)
    same(Path("uninterrupted/x"), Path("empty/x"))


def test_resume_starts_a_missing_run_and_does_not_change_a_finished_one() -> None:
    train("runs", resume=True)
    before = {file.name: file.read_bytes() for file in Path("runs/x").iterdir()}
    run = train("runs", resume=True)
    assert run.run_dir == Path("runs/x")
    assert "resuming" not in Path("runs/x/train.log").read_text()
    after = {file.name: file.read_bytes() for file in Path("runs/x").iterdir()}
    for name in before.keys() - {"train.log", "last.safetensors", "previous.safetensors", "environment.json"}:
        assert after[name] == before[name]
    assert [path.name for path in Path("runs").iterdir()] == ["x"]


def test_more_epochs_continue_from_the_last() -> None:
    train("uninterrupted", {"train.epochs": 6})
    train("parts", {"train.epochs": 2})
    train("parts", {"train.epochs": 6}, resume=True)
    same(Path("uninterrupted/x"), Path("parts/x"))
    run = train("parts", {"train.epochs": 3}, resume=True)
    assert (run.result["epochs"], run.result["status"]) == (6, "completed")


def test_keys_that_may_change_and_keys_that_may_not(capsys: pytest.CaptureFixture[str]) -> None:
    train("runs")
    allowed = {
        "train.epochs": 6,
        "train.early_stopping": {"patience": 3},
        "train.device": "cpu",
        "train.checkpoint.every_steps": 3,
        "train.max_minutes": 10,
    }
    assert train("runs", allowed, resume=True).result["epochs"] >= 5
    weights = Path("runs/x/best.safetensors").read_bytes()
    Path("x.yaml").write_text(json.dumps(BASE))
    changed = ["optimizer.lr=0.5", "model.hidden=[9]", "seed=1", "train.batch_size=4"]
    assert command(["train", "x.yaml", *changed, "--resume"]) == 2
    error = capsys.readouterr().err
    assert "seed, model.hidden, optimizer.lr, train.batch_size" in error
    assert Path("runs/x/best.safetensors").read_bytes() == weights


def test_a_schedule_with_the_length_of_the_run_is_not_extended() -> None:
    cosine = {"scheduler": {"name": "cosine"}}
    train("runs", {**cosine, "train.epochs": 2})
    with pytest.raises(UsageError, match=r"a different train\.epochs, which is also the length of its cosine schedule"):
        train("runs", {**cosine, "train.epochs": 4}, resume=True)


def test_a_run_directory_and_the_newest_run_of_a_name_are_resumed() -> None:
    for _ in range(3):
        train("runs", {"train.epochs": 1})
    run = nnzoo.train("runs/x-2", overrides={"train.epochs": 2}, runs_dir="elsewhere", resume=True, quiet=True)
    assert run.run_dir == Path("runs/x-2")
    assert train("runs", {"train.epochs": 2}, resume=True).run_dir == Path("runs/x-3")
    assert not Path("elsewhere").exists()


def test_a_name_may_end_in_a_number() -> None:
    train("runs", {"train.epochs": 1}, name="lenet-5")
    assert train("runs", {"train.epochs": 1, "seed": 1}, name="lenet", resume=True).run_dir == Path("runs/lenet")
    assert train("runs", {"train.epochs": 1}, name="lenet-5", resume=True).run_dir == Path("runs/lenet-5")


def test_resuming_keeps_the_number_of_threads(at_step: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    before = torch.get_num_threads()
    recorded = []
    at_step(3, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(InterruptedRunError):
        train("runs", {"train.num_threads": 3})
    at_step(1, lambda: recorded.append(torch.get_num_threads()))
    nnzoo.train("runs/x", runs_dir="runs", resume=True, show=lambda _: None)
    assert torch.get_num_threads() == before
    assert recorded == [3]
    assert "threads as before" not in capsys.readouterr().err  # it is in the config of the run


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_damaged_checkpoint_stops_the_resume_before_anything_is_written() -> None:
    train("runs")
    for name in ("last.safetensors", "previous.safetensors"):
        cut_short(Path("runs/x", name))
    before = {file.name: file.read_bytes() for file in Path("runs/x").iterdir()}
    with pytest.raises(
        CheckpointError, match=r"runs/x/last\.safetensors: damaged, .* previous\.safetensors is damaged too"
    ):
        train("runs", {"train.epochs": 9}, resume=True)
    assert {file.name: file.read_bytes() for file in Path("runs/x").iterdir()} == before


@pytest.mark.parametrize("damage", [cut_short, flip_a_bit, lambda path: path.write_bytes(b""), Path.unlink])
def test_a_damaged_checkpoint_is_replaced_by_the_previous_one(
    damage: Callable[[Path], None], at_step: Callable[..., None]
) -> None:
    config = CONFIGS["everything at once"] | {"train.checkpoint": {"every_steps": 1}}
    train("uninterrupted", config)
    at_step(6, crash)
    with pytest.raises(Crash):
        train("parts", config)
    last, previous = (
        load_checkpoint(Path("parts/x", name))["step"] for name in ("last.safetensors", "previous.safetensors")
    )
    assert (last, previous) == (5, 4)
    damage(Path("parts/x/last.safetensors"))
    at_step(2, crash)
    with pytest.warns(nnzoo.NnzooWarning) as shown, pytest.raises(Crash):
        train("parts", config, resume=True)
    (warning,) = (str(each.message) for each in shown)
    assert warning.startswith("parts/x/last.safetensors: ")
    assert warning.endswith("Resuming from the previous checkpoint, previous.safetensors")
    assert f"WARNING {warning}\n" in Path("parts/x/train.log").read_text()
    train("parts", config, resume=True)
    same(Path("uninterrupted/x"), Path("parts/x"))


def test_a_checkpoint_of_another_version_is_not_skipped() -> None:
    train("runs")
    for version, todo in ((4, "Update nnzoo"), (1, "Use the nnzoo that wrote it")):
        write_tensor_file(Path("runs/x/last.safetensors"), {}, {"format": "nnzoo checkpoint", "version": version})
        with pytest.raises(CheckpointError, match=rf"has format version {version}; .* {todo}"):
            train("runs", resume=True)


@pytest.mark.parametrize("option", ["--resume", "--resume --name x"])
def test_a_run_of_an_older_nnzoo_is_neither_resumed_nor_started_again(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    train("runs")
    for name in ("last", "previous"):
        Path(f"runs/x/{name}.safetensors").unlink()
        torch.save({"format": "nnzoo checkpoint", "version": 2}, f"runs/x/{name}.pt")
    before = {file.name: file.read_bytes() for file in Path("runs/x").iterdir()}
    assert command(["train", "runs/x", "-q", *option.split()]) == 1
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert error.startswith("nnzoo: runs/x/last.pt: is a checkpoint of an older nnzoo version, which used pickle")
    assert {file.name: file.read_bytes() for file in Path("runs/x").iterdir()} == before
    assert command(["eval", "runs/x", "-q"]) == 0  # the artifact has not changed
    assert command(["train", "runs/x", "-q", "--overwrite"]) == 0
    assert not list(Path("runs/x").glob("*.pt"))


@pytest.mark.parametrize("damage", [cut_short, flip_a_bit, Path.unlink])
def test_damaged_best_weights_are_written_again(
    damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    train("runs")
    path = Path("runs/x/best.safetensors")
    before = path.read_bytes()
    damage(path)
    assert command(["eval", "x"]) == 1
    assert "`nnzoo train runs/x --resume`" in capsys.readouterr().err
    train("runs", resume=True)
    assert path.read_bytes() == before


def test_an_early_stopped_run_continues_with_more_patience() -> None:
    config = CONFIGS["plateau and stopping"] | {"train.epochs": 40, "optimizer.lr": 0.5}
    short, long = ({**config, "train.early_stopping": {"patience": patience}} for patience in (1, 4))
    train("uninterrupted", long)
    first = train("parts", short)
    assert first.result["status"] == "early_stopped"
    assert train("parts", long, resume=True).result["epochs"] > first.result["epochs"]
    same(Path("uninterrupted/x"), Path("parts/x"))


def table(rows: int, *, changed: bool = False) -> None:
    lines = [f"{index % 7},{index % 5},{'ab'[index % 2]}" for index in range(rows)]
    if changed:
        lines[-1] = "6.5" + lines[-1][1:]
    Path("t.csv").write_text("\n".join(["u,v,w", *lines]))


def test_changed_data_is_detected() -> None:
    config = {"data": {"name": "csv", "path": "t.csv", "target": "w"}}
    table(60)
    train("runs", config)
    before = {file.name: file.read_bytes() for file in Path("runs/x").iterdir()}
    for arguments in ({"rows": 60, "changed": True}, {"rows": 61}):
        table(**arguments)  # type: ignore[arg-type]
        with pytest.raises(DataError, match=r"^data: the .* split has changed since the run was started"):
            train("runs", {**config, "train.epochs": 6}, resume=True)
        assert {file.name: file.read_bytes() for file in Path("runs/x").iterdir()} == before
    table(60)
    os.utime("t.csv", (0, 0))
    assert train("runs", {**config, "train.epochs": 6}, resume=True).result["epochs"] == 6


class Tied(nn.Module):
    """Two layers of one weight, a counter, a mask with infinities, and noise of three generators."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 2)
        self.second = nn.Linear(2, 2)
        self.second.weight = self.first.weight
        self.output = nn.Linear(2, 3)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
        self.calls: Tensor

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training:
            self.calls += 1
            inputs = inputs + 0.1 * float(np.random.standard_normal()) + 0.1 * torch.randn(())
        outputs: Tensor = self.output(self.second(self.first(inputs).relu()))
        return outputs


def test_a_custom_module_with_tied_weights_resumes(at_step: Callable[..., None]) -> None:
    torch.manual_seed(1)
    start = Tied().state_dict()

    def fresh() -> Tied:
        module = Tied()
        module.load_state_dict(start)
        return module

    uninterrupted = train("uninterrupted", model=fresh())
    at_step(13, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(InterruptedRunError):
        train("parts", model=fresh())
    run = train("parts", model=fresh(), resume=True)
    same(Path("uninterrupted/x"), Path("parts/x"))
    assert uninterrupted.model.module.state_dict()["calls"] == run.model.module.state_dict()["calls"] > 0
    weights = load_checkpoint(Path("parts/x/last.safetensors"))["best"]
    assert weights["first.weight"].data_ptr() == weights["second.weight"].data_ptr()
    assert Path("parts/x/best.safetensors").read_bytes().count(b"model.second.weight") == 1  # only as an alias


def steps_and_trees() -> dict[str, dict[str, Any]]:
    random = np.random.default_rng(0)
    x, lengths = random.standard_normal((40, 6, 2)).astype(np.float32), random.integers(1, 7, 40)
    y = (x.cumsum(1)[..., 0] > 0).astype(int)
    y[np.arange(6) >= lengths[:, None]] = -100
    np.savez("steps.npz", x=x, y=y, lengths=lengths)
    Path("trees.txt").write_text("(3 (2 It) (4 (2 's) (4 fun)))\n(1 (2 so) (1 dull))\n(2 it)\n" * 12)
    return {
        "steps": {"data": {"name": "arrays", "path": "steps.npz"}, "model": {"name": "gru", "hidden_size": 4}},
        "trees": {"data": {"name": "trees", "path": "trees.txt"}, "model": {"name": "tree_lstm", "hidden_size": 4}},
    }


@pytest.mark.parametrize("restarts", [1, 2])
@pytest.mark.parametrize("data", ["steps", "trees"])
def test_an_epoch_over_steps_or_nodes_continues_where_it_was(
    data: str, restarts: int, at_step: Callable[..., None]
) -> None:
    config = {"name": "x", **steps_and_trees()[data], "train": {"epochs": 2, "batch_size": 6, "restarts": restarts}}
    nnzoo.train(config, runs_dir="uninterrupted", quiet=True)
    at_step(3, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(InterruptedRunError):
        nnzoo.train(config, runs_dir="parts", quiet=True)
    nnzoo.train(config, runs_dir="parts", quiet=True, resume=True)
    same(Path("uninterrupted/x"), Path("parts/x"))
