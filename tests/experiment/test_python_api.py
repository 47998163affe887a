from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nnzoo
from nnzoo.config import Config
from nnzoo.errors import ConfigError, DataError, DivergedError, UsageError
from nnzoo.experiment.train.finished import Run

IRIS: dict[str, Any] = {"data": "iris", "model": {"name": "mlp", "hidden": [6], "dropout": 0.5}, "train": {"epochs": 2}}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def train(config: Any, **options: Any) -> Run:
    return nnzoo.train(config, quiet=True, **options)


def test_a_path_a_name_a_dict_and_a_config_are_the_same() -> None:
    Path("digits_mlp.yaml").write_text("data: digits\nmodel: {name: mlp, hidden: [64, 32]}\n")
    config = nnzoo.load_config("digits_mlp.yaml")
    assert isinstance(config, Config)
    written: dict[str, Any] = {"data": "digits", "model": {"name": "mlp", "hidden": [64, 32]}}
    short = {"train.epochs": 1}
    artifacts = {
        train(given, overrides=short, runs_dir=Path("runs")).run_dir.joinpath("best.safetensors").read_bytes()
        for given in ("digits_mlp.yaml", Path("digits_mlp.yaml"), written, config)
    }
    assert len(artifacts) == 1
    assert sorted(path.name for path in Path("runs").iterdir()) == [
        "digits_mlp",
        "digits_mlp-2",
        "digits_mlp-3",
        "run",
    ]
    Path("digits_mlp.yaml").unlink()
    assert train("digits_mlp", overrides=short).result["epochs"] == 1


def test_attributes_of_a_run() -> None:
    run = train(IRIS, runs_dir="somewhere")
    assert run.run_dir == Path("somewhere/run")
    assert run.metrics == run.result["metrics"] == json.loads((run.run_dir / "result.json").read_text())["metrics"]
    assert len(run.history["epoch"]) == 2
    assert dict(run.history)["val/loss"] == run.history["val/loss"]
    assert run.history["val/loss"][run.result["best_epoch"] - 1] == min(run.history["val/loss"])
    assert run.model.classes == ("setosa", "versicolor", "virginica")
    assert run.model.path == run.run_dir / "best.safetensors"


def test_overrides_are_python_values() -> None:
    values = {
        "optimizer.lr": 3e-4,
        "model.hidden": [5, 4],
        "model.batch_norm": True,
        "train.early_stopping": None,
        "scheduler": "constant",
        "preprocess.pca": {"n_components": 2},
    }
    config = train(IRIS, overrides=values).model.config.model_dump()
    assert config["optimizer"]["lr"] == 3e-4
    assert (config["model"]["hidden"], config["model"]["batch_norm"]) == ((5, 4), True)
    assert config["train"]["early_stopping"] is None
    assert config["preprocess"]["pca"]["n_components"] == 2
    texts = train(IRIS, overrides=["optimizer.lr=3e-4", "train.epochs=1"])
    assert (texts.model.config.optimizer.lr, texts.result["epochs"]) == (3e-4, 1)
    assert train(IRIS, overrides="train.epochs=1").result["epochs"] == 1
    assert train(IRIS, name="007", device="cpu").run_dir.name == "007"
    with pytest.raises(ConfigError, match=r"override optimizer.lr=-1.*optimizer\.lr"):
        train(IRIS, overrides={"optimizer.lr": -1})


def test_a_dict_has_paths_relative_to_the_current_folder() -> None:
    np.savez("mine.npz", x=np.random.default_rng(0).normal(size=(40, 3)), y=np.arange(40) % 2)
    run = train({"data": {"name": "arrays", "path": "mine.npz"}, "model": "linear", "train": {"epochs": 1}})
    assert run.result["epochs"] == 1
    assert str(Path("mine.npz").absolute()) in (run.run_dir / "config.yaml").read_text()


def test_predictions_do_not_depend_on_the_kind_of_array() -> None:
    run = train(IRIS)
    model = nnzoo.load(run.run_dir)
    raw = np.random.default_rng(0).normal(3, 2, size=(30, 4)).astype("f4").astype("f8")
    expected = model.predict_proba(raw.astype("f4"))
    assert expected.shape == (30, 3)
    assert np.allclose(expected.sum(1), 1, atol=1e-6)
    readonly = raw.astype("f4")
    readonly.flags.writeable = False
    kinds: list[Any] = [
        raw,
        readonly,
        raw.astype("f4").tolist(),
        torch.from_numpy(raw).requires_grad_(),
        raw.astype(">f4"),
        np.asfortranarray(raw),
        raw[::-1][::-1],
    ]
    for kind in kinds:
        assert np.array_equal(model.predict_proba(kind), expected)
        assert model.predict(kind).tolist() == [model.classes[index] for index in expected.argmax(1)]
    assert model.predict(np.ones((2, 4), dtype=bool)).shape == (2,)
    assert model.predict(torch.ones(2, 4, dtype=torch.bfloat16)).shape == (2,)


def test_the_module_always_predicts_in_evaluation_mode() -> None:
    model = nnzoo.load(train(IRIS).run_dir)
    assert not model.module.training
    raw = np.ones((5, 4))
    expected = model.predict_proba(raw)
    model.module.train()
    assert np.array_equal(model.predict_proba(raw), expected)
    assert not any(module.training for module in model.module.modules())
    inputs = model.preprocess(torch.ones(5, 4))
    assert np.allclose(model.module(inputs).softmax(1).detach().numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ([[1.0, 2.0, 3.0]], r"expected samples of shape \(N, 4\), got \(1, 3\)"),
        ([1.0, 2.0, 3.0, 4.0], r"expected samples of shape \(N, 4\), got \(4,\)"),
        ([], r"got \(0,\)"),
        (np.empty((0, 4)), "is empty"),
        ([[1.0, 2.0, 3.0, float("nan")]], "row 0 has NaN or inf"),
        ([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, float("inf")]], "row 1 has NaN or inf"),
        ([["a", "b", "c", "d"]], "unsupported type"),
        ([[1.0, 2.0], [3.0]], "expected numbers in an array"),
        (np.ones((1, 4), dtype=complex), "unsupported type"),
        (None, "got"),
    ],
)
def test_raw_data_that_does_not_fit(raw: Any, message: str) -> None:
    model = train({**IRIS, "train": {"epochs": 1}}).model
    with pytest.raises(DataError, match=f"^predict: .*{message}"):
        model.predict(raw)


def test_regression_predicts_in_the_unit_of_the_target() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)).astype("f4")
    y = (x @ [1.0, 2.0, -1.0] * 100 + 5000).astype("f4")
    np.savez("far.npz", x=x, y=y)
    config = {
        "data": {"name": "arrays", "path": "far.npz"},
        "model": "linear",
        "preprocess": {"scale_target": True},
        "optimizer": {"name": "sgd", "lr": 0.1},
    }
    run = train(config)
    answers = run.model.predict(x)
    assert answers.shape == (200,)
    assert np.abs(answers - y).mean() < 5
    assert run.metrics["test/mae"] < 5
    assert run.model.classes == ()
    with pytest.raises(UsageError, match="regression predicts values"):
        run.model.predict_proba(x)


def test_several_targets_and_several_labels() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3)).astype("f4")
    np.savez("values.npz", x=x, y=rng.normal(size=(80, 2)))
    np.savez("labels.npz", x=x, y=rng.integers(0, 2, size=(80, 4)))
    short = {"model": "linear", "train": {"epochs": 1}}
    values = train({"data": {"name": "arrays", "path": "values.npz"}, **short})
    assert values.model.predict(x).shape == (80, 2)
    header = (values.run_dir / "predictions.csv").read_text().splitlines()[0]
    assert header == "array,row,target_y0,target_y1,prediction_y0,prediction_y1"
    labels = train({"data": {"name": "arrays", "path": "labels.npz", "task": "multilabel"}, **short})
    shares = labels.model.predict_proba(x)
    assert shares.shape == (80, 4)
    assert np.array_equal(labels.model.predict(x), (shares > 0.5).astype(int))
    assert not (labels.run_dir / "confusion_matrix.csv").exists()


def test_a_margin_loss_has_no_probabilities() -> None:
    run = train({"data": "iris", "model": "linear", "loss": "hinge", "train": {"epochs": 1}})
    assert set(run.model.predict(np.ones((2, 4)))) <= set(run.model.classes)
    with pytest.raises(UsageError, match="a margin loss gives no probabilities"):
        run.model.predict_proba(np.ones((2, 4)))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.layers(inputs)
        return outputs


@pytest.mark.parametrize("config", [{"data": "iris", "train": {"epochs": 2}}, {**IRIS, "train": {"epochs": 2}}])
def test_a_custom_module(config: dict[str, Any]) -> None:
    torch.manual_seed(0)
    module = Net()
    start = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    run = train(config, model=module)
    assert run.model.module is module
    assert not torch.equal(module.state_dict()["layers.0.weight"], start["layers.0.weight"])
    loaded = nnzoo.load(run.run_dir, model=Net())
    raw = np.ones((3, 4))
    assert np.array_equal(loaded.predict_proba(raw), run.model.predict_proba(raw))
    with pytest.raises(UsageError, match=r"nnzoo\.load\(path, model=MyModule\(\)\)"):
        nnzoo.load(run.run_dir)


def test_a_custom_module_that_does_not_fit_is_refused_before_anything_is_written() -> None:
    class Failing(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:  # noqa: A002
            raise RuntimeError("boom")

    class Talkative(nn.Linear):
        def get_extra_state(self) -> dict[str, int]:
            return {"calls": 1}

        def set_extra_state(self, state: Any) -> None:
            pass

    config = {"data": "iris"}
    wrong: list[tuple[nn.Module, str]] = [
        (nn.Linear(4, 2), r"got \(2, 2\), expected \(2, 3\).* 3 output units"),
        (nn.Linear(5, 3), "shape"),
        (Failing(4, 3), "boom"),
        (nn.Linear(4, 3).double(), "dtype"),
        (nn.Flatten(), "no parameters"),
        (nn.LSTM(4, 3), r"got tuple"),
        (Talkative(4, 3), "_extra_state"),
    ]
    for module, message in wrong:
        with pytest.raises(UsageError, match=message):
            train(config, model=module)
    assert not Path("runs").exists()


def test_tokens_beyond_those_of_the_training_data_are_refused() -> None:
    class Bag(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(10, 4)
            self.output = nn.Linear(4, 2)

        def forward(self, tokens: Tensor) -> Tensor:
            outputs: Tensor = self.output(self.embedding(tokens).mean(1))
            return outputs

    x = np.random.default_rng(0).integers(0, 10, size=(60, 5))
    np.savez("tokens.npz", x=x, y=np.arange(60) % 2)
    config = {"data": {"name": "arrays", "path": "tokens.npz"}, "train": {"epochs": 1}}
    run = train(config, model=Bag())
    assert run.model.predict(x).shape == (60,)
    with pytest.raises(DataError, match="allowed 0 to 9"):
        run.model.predict(x + 1)


def test_summary_and_build_model() -> None:
    net = nnzoo.build_model({"data": "digits", "model": {"name": "mlp", "hidden": [5]}})
    report = nnzoo.summary(net, input_shape=(1, 8, 8))
    assert report.num_parameters == sum(p.numel() for p in net.parameters()) == 65 * 5 + 6 * 10
    assert "Total params: 385" in str(report)
    wide = nnzoo.build_model({"data": "digits", "model": "linear"}, input_shape=(3, 4), num_outputs=7)
    assert wide(torch.zeros(2, 3, 4)).shape == (2, 7)


def test_errors_are_exceptions_with_the_result() -> None:
    with pytest.raises(DivergedError) as caught:
        train({"data": "digits", "model": "linear"}, overrides={"optimizer": {"name": "sgd", "lr": 1e38}})
    assert caught.value.result is not None
    assert caught.value.result["status"] == "diverged"


def test_training_in_a_thread() -> None:
    runs: list[Run] = []
    thread = threading.Thread(target=lambda: runs.append(train(IRIS)))
    thread.start()
    thread.join()
    assert runs[0].result["status"] == "completed"


def test_names_of_the_package() -> None:
    assert {"train", "load", "DataError", "DataWarning", "errors", "__version__"} <= set(dir(nnzoo))
    assert all(hasattr(nnzoo, name) for name in dir(nnzoo))
    with pytest.raises(AttributeError, match="module 'nnzoo' has no attribute 'tarin'"):
        _ = nnzoo.tarin


def test_the_summary_is_shown_by_the_given_function() -> None:
    shown: list[str] = []
    nnzoo.train(IRIS, overrides={"train.epochs": 1}, show=shown.append)
    assert len(shown) == 1
    assert "Total params" in shown[0]
