"""Builds, trains, saves and loads every model of the config on every kind of data that it supports."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nnzoo
from nnzoo.builders import build_model
from nnzoo.config import load_config
from nnzoo.config.base import listed
from nnzoo.config.model import Architecture, ModelSection, Torchvision, embedding_size
from nnzoo.errors import ConfigError
from nnzoo.experiment.describe import describe_network
from nnzoo.models import head_of, plan
from nnzoo.models.initializers import Rule
from nnzoo.models.parameters import load_weights
from nnzoo.models.recurrent import default_embedding_dim

MODELS: dict[str, Any] = dict(listed(ModelSection))
SECTIONS: dict[str, dict[str, Any]] = {
    "cnn": {"blocks": [{"conv": {"out_channels": 6, "kernel_size": 3, "padding": "same"}}, {"global_pool": "avg"}]},
    "torchvision": {"arch": "shufflenet_v2_x0_5"},
    "alexnet": {"dropout": 0.0},
    **{name: {"dropout": 0.0} for name in MODELS if name.startswith("vgg")},
    **{name: {"hidden_size": 12} for name in ("rnn", "lstm", "gru")},
}
LARGE = ("alexnet", "vgg", "resnet44", "resnet56", "resnet110")
HUGE = [name for name in MODELS if name.startswith("vgg")]
"""Models with half a gigabyte of weights. alexnet is the large network that is saved and loaded."""
LAYOUTS = ("features", "sequence", "image", "tokens")


def section(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, **SECTIONS.get(name, {}), **changes}


def write_data(
    folder: Path, layout: str, *, size: int = 32, lengths: bool = False, samples: int = 12
) -> dict[str, Any]:
    """Two classes that are easy to separate."""
    rng = np.random.default_rng(0)
    y = np.arange(samples) % 2
    shapes = {"features": (5,), "sequence": (6, 3), "image": (3, size, size), "tokens": (6,)}
    x: Any
    if layout == "tokens":
        x = rng.integers(0, 5, (samples, 6)) + 5 * y[:, None]
        x[0, 0] = 9
    else:
        x = rng.normal(size=(samples, *shapes[layout])).astype(np.float32) * 0.3
        x += (2 * y - 1).reshape(-1, *[1] * len(shapes[layout]))
    arrays: dict[str, Any] = {"x": x, "y": y}
    if lengths:
        arrays["lengths"] = rng.integers(2, 7, samples)
    np.savez(folder / "data.npz", **arrays)
    split = {"val": 0.0, "test": 0.0}
    return {"name": "arrays", "path": str(folder / "data.npz"), "layout": layout, "split": split}


def cases() -> list[Any]:
    found = []
    for (name, member), layout in itertools.product(MODELS.items(), LAYOUTS):
        marks = [pytest.mark.slow] if name.startswith(LARGE) else []
        if layout in member.layouts and name not in HUGE:
            found.append(pytest.param(name, layout, marks=marks, id=f"{name}-{layout}"))
    return found


@pytest.mark.parametrize(("name", "layout"), cases())
def test_a_model_trains_and_is_loaded(name: str, layout: str, tmp_path: Path) -> None:
    """Every trained parameter changes, the loss falls, and the loaded model has the same predictions."""
    size = 64 if name == "alexnet" else 32
    data = write_data(tmp_path, layout, size=size)
    large = name.startswith(LARGE)
    config = {
        "data": data,
        "model": section(name),
        "optimizer": {"name": "adam", "lr": 1e-2},
        "train": {"epochs": 2 if large else 12, "batch_size": "full", "early_stopping": None},
    }
    if large:
        # Adam would save two more copies of the weights.
        config["optimizer"] = {"name": "sgd", "lr": 1e-6 if name.startswith(("alexnet", "vgg")) else 0.005}
    if name == "perceptron":
        config["optimizer"] = {"name": "sgd", "lr": 0.1}
    torch.manual_seed(0)
    start = {key: value.clone() for key, value in built_for_training(config).items()}
    run = nnzoo.train(config, runs_dir=tmp_path, quiet=True)
    losses = [row["train/loss"] for row in run.history.rows]
    assert min(losses[1:]) <= losses[0] * (1.0 if large or name == "perceptron" else 0.99)
    trained = run.model.module.state_dict()
    moved = {key: not trained[key].equal(value) for key, value in start.items()}
    # The updates of a perceptron may cancel in its bias.
    assert all(moved.values()) or (name == "perceptron" and any(moved.values())), moved
    again = nnzoo.load(run.run_dir / "best.safetensors")
    raw = np.load(data["path"])["x"]
    assert again.outputs(raw).equal(run.model.outputs(raw))
    assert sum(p.numel() for p in again.module.parameters()) == run.result["num_parameters"]
    report = describe_network(str(run.run_dir))
    assert report.summary.num_parameters == run.result["num_parameters"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vgg11", "vgg19_bn"])
def test_a_step_changes_every_parameter_of_a_large_model(name: str) -> None:
    torch.manual_seed(0)
    net = nnzoo.build_model({"data": {"name": "random", "shape": [3, 32, 32]}, "model": section(name)})
    images, targets = torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 0, 1])
    first = nn.functional.cross_entropy(net(images), targets)
    gradients = torch.autograd.grad(first, list(net.parameters()))
    assert all(bool(gradient.any()) for gradient in gradients)
    with torch.no_grad():
        for parameter, gradient in zip(net.parameters(), gradients, strict=True):
            parameter.sub_(1e-6 * gradient)
        assert nn.functional.cross_entropy(net(images), targets) < first


def built_for_training(config: dict[str, Any]) -> dict[str, Tensor]:
    """Returns the initial parameters of the run."""
    loaded = load_config(config)
    torch.manual_seed(loaded.seed)
    return {name: parameter.detach() for name, parameter in nnzoo.build_model(loaded).named_parameters()}


@pytest.mark.parametrize(("name", "member"), MODELS.items())
def test_data_that_a_model_does_not_support_is_a_config_error(name: str, member: Any) -> None:
    shapes = {"features": [5], "sequence": [6, 3], "image": [3, 64, 64]}
    for layout, shape in shapes.items():
        config = {"data": {"name": "random", "shape": shape}, "model": section(name)}
        if layout in member.layouts:
            load_config(config)
        else:
            with pytest.raises(ConfigError, match=rf"{name} does not support {layout}"):
                load_config(config)


@pytest.mark.parametrize(
    "name", [name for name in MODELS if name not in ("perceptron", "linear", "recursive", "tree_lstm")]
)
def test_the_backbone_can_be_frozen(name: str) -> None:
    shape = [3, 64, 64] if "image" in MODELS[name].layouts else [5]
    config = {"data": {"name": "random", "shape": shape}, "model": section(name, freeze="backbone")}
    with torch.device("meta"):
        net = nnzoo.build_model(config)
    trained = [key for key, parameter in net.named_parameters() if parameter.requires_grad]
    assert trained
    assert all(key.startswith(f"{head_of(net)}.") for key in trained)


@pytest.mark.parametrize(
    ("model", "shape", "outputs", "total"),
    [
        ("lenet5", (1, 28, 28), 10, 61_706),
        ("alexnet", (3, 224, 224), 1000, 61_100_840),
        ("vgg16", (3, 224, 224), 1000, 138_357_544),
        ("resnet20", (3, 32, 32), 10, 269_722),
        ("resnet110", (3, 32, 32), 10, 1_727_962),
        ({"name": "torchvision", "arch": "resnet18"}, (3, 224, 224), 1000, 11_689_512),
        ({"name": "lstm", "hidden_size": 20}, (7, 10), 2, 2_560 + 42),
        ({"name": "lstm", "hidden_size": 20, "num_layers": 2}, (7, 10), 2, 5_920 + 42),
    ],
)
def test_published_numbers_of_parameters(model: Any, shape: tuple[int, ...], outputs: int, total: int) -> None:
    config = load_config({"data": {"name": "random", "shape": list(shape)}, "model": model})
    with torch.device("meta"):
        net = build_model(config, shape, outputs)
        summary = nnzoo.summary(net, shape)
    assert summary.num_parameters == sum(row.num_parameters for row in summary.layers) == total


def test_the_schema_has_every_classification_model_of_torchvision() -> None:
    from torchvision import models

    assert list(get_args(Architecture)) == models.list_models(module=models)


@pytest.mark.slow
@pytest.mark.parametrize("arch", get_args(Architecture))
def test_every_architecture_has_the_requested_outputs(arch: str) -> None:
    size, channels = (320 if arch == "inception_v3" else 224), (1 if arch.startswith("r") else 3)
    config = load_config(
        {"data": {"name": "random", "shape": [channels, size, size]}, "model": {"name": "torchvision", "arch": arch}}
    )
    assert isinstance(config.model, Torchvision)
    if arch.startswith("regnet") and not arch.endswith(("400mf", "800mf")):
        pytest.skip("made of numbers, so as large as it is")
    with torch.device("cpu" if arch.startswith("regnet") else "meta"):
        net = build_model(config, (channels, size, size), 7).eval()
        assert net(torch.zeros(2, channels, size, size)).shape == (2, 7)
        assert net.get_submodule(head_of(net)).weight.shape[0] == 7  # type: ignore[index]
        load_weights(net, dict(net.state_dict()))


def test_a_network_that_requires_the_version_of_its_weights_is_loaded(tmp_path: Path) -> None:
    """MNASNet requires the version in the metadata of a state dict, which the files of nnzoo do not store."""
    model = {"name": "torchvision", "arch": "mnasnet0_5"}
    data = {**write_data(tmp_path, "image"), "split": {"val": 0.25, "test": 0}}
    config = {"name": "m", "data": data, "model": model, "train": {"epochs": 1, "batch_size": 4}}
    run = nnzoo.train(config, runs_dir=tmp_path / "runs", quiet=True)
    raw = np.load(data["path"])["x"]
    assert nnzoo.load(run.run_dir).outputs(raw).equal(run.model.outputs(raw))
    longer = nnzoo.train(config, overrides={"train.epochs": 2}, runs_dir=tmp_path / "runs", resume=True, quiet=True)
    assert longer.result["epochs"] == 2


def test_pretrained_weights_are_read_from_the_cache_of_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.models import SqueezeNet1_1_Weights, squeezenet1_1

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = tmp_path / "hub" / "checkpoints" / Path(SqueezeNet1_1_Weights.IMAGENET1K_V1.url).name
    cached.parent.mkdir(parents=True)
    weights = squeezenet1_1().state_dict()
    torch.save(weights, cached)
    model = {"name": "torchvision", "arch": "squeezenet1_1", "weights": "DEFAULT"}
    config = load_config({"data": {"name": "random", "shape": [3, 64, 64]}, "model": model})
    net = build_model(config, (3, 64, 64), 5)
    assert any(torch.equal(each, weights["features.0.weight"]) for each in net.state_dict().values())
    assert net(torch.zeros(2, 3, 64, 64)).shape == (2, 5)
    cached.unlink()
    build_model(config, (3, 64, 64), 5, download=False)
    with pytest.raises(ConfigError, match=r"model\.weights: pretrained weights are for images of 3 channels"):
        build_model(config, (1, 64, 64), 5)
    other = load_config({"data": {"name": "random", "shape": [3, 64, 64]}, "model": {**model, "weights": "V9"}})
    with pytest.raises(ConfigError, match=r"model\.weights: squeezenet1_1 has no weights 'V9' \(allowed DEFAULT, IMAG"):
        build_model(other, (3, 64, 64), 5)


@pytest.mark.parametrize(
    ("blocks", "place", "message"),
    [
        ([{"conv": {"out_channels": 4, "kernel_size": 9}}], "blocks.0.conv", "window is larger than its input"),
        (
            [{"pool": {"kernel_size": 4}}, {"conv": {"out_channels": 4, "kernel_size": 3}}],
            "blocks.1.conv",
            r"input of shape \(1, 2, 2\)",
        ),
        ([{"conv": {"out_channels": 4, "kernel_size": 3, "groups": 3}}], "blocks.0.conv.groups", "must divide"),
        ([{"conv": {"out_channels": 4, "kernel_size": [3, 3, 3]}}], "blocks.0.conv.kernel_size", "or 2 of them"),
        ([{"pool": {"kernel_size": 2, "padding": 2}}], "blocks.0.pool.padding", "at most half of kernel_size"),
        (
            [{"conv": {"out_channels": 4, "kernel_size": 3, "stride": 2, "padding": "same"}}],
            "blocks.0.conv.padding",
            "needs stride 1",
        ),
        ([{}], "blocks.0", "got nothing"),
        ([{"global_pool": "avg", "pool": {"kernel_size": 2}}], "blocks.0", "got pool and global_pool"),
        ([{"conv": {"filters": 3, "kernel_size": 2}}], "blocks.0.conv.filters", "Did you mean 'out_channels'"),
    ],
)
def test_a_block_that_does_not_fit_is_named(blocks: Any, place: str, message: str, tmp_path: Path) -> None:
    config = {"data": "digits", "model": {"name": "cnn", "blocks": blocks}}
    with pytest.raises(ConfigError, match=rf"model\.{place}: .*{message}"):
        nnzoo.train(config, runs_dir=tmp_path, quiet=True)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"data": "digits", "model": "vgg11"}, "vgg11 needs images of at least 32 x 32, got 8 x 8"),
        ({"data": "digits", "model": "alexnet"}, "alexnet needs images of at least 63 x 63, got 8 x 8"),
        ({"data": "digits", "model": "resnet20", "train": {"batch_size": 1}}, "at least two samples per batch"),
        ({"data": "digits", "model": {"name": "lstm", "pooling": "none"}}, "one target per sample"),
        (
            {"data": "digits", "model": {"name": "lstm", "embedding": 4}},
            "embeddings are for tokens, but this data is image",
        ),
        ({"data": "digits", "model": "lstm", "init": "dirac"}, "lstm has none"),
        ({"data": "digits", "model": "lenet5", "preprocess": {"pca": {"n_components": 3}}}, "pca flattens images"),
        ({"data": "digits", "model": "perceptron", "loss": "hinge"}, "needs `loss: perceptron`"),
        ({"data": "diabetes", "model": "perceptron"}, "is for classification"),
    ],
)
def test_invalid_models_are_config_errors(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(config)


@pytest.mark.parametrize(("model", "smallest"), [("alexnet", 63), ("vgg11", 32), ("vgg19_bn", 32)])
def test_the_minimum_image_sizes_agree_with_the_config(model: str, smallest: int) -> None:
    for size, fits in ((smallest, True), (smallest - 1, False)):
        config = {"data": {"name": "random", "shape": [3, smallest, smallest]}, "model": model}
        with torch.device("meta"):
            if fits:
                net = nnzoo.build_model(config, (3, size, size), 2).eval()
                assert net(torch.zeros(2, 3, size, size)).shape == (2, 2)
            else:
                with pytest.raises(ConfigError, match="at least"):
                    nnzoo.build_model(config, (3, size, size), 2)


def test_batch_norm_in_any_model_needs_two_samples(tmp_path: Path) -> None:
    config = {"data": write_data(tmp_path, "image"), "model": section("torchvision"), "train": {"batch_size": 1}}
    with pytest.raises(ConfigError, match=r"train\.batch_size: batch norm needs at least two"):
        nnzoo.train(config, runs_dir=tmp_path, quiet=True)


@pytest.mark.parametrize("num_tokens", [1, 2, 10, 99, 500, 10_000, 1_000_000])
def test_embedding_sizes(num_tokens: int) -> None:
    assert embedding_size(num_tokens) == default_embedding_dim(num_tokens)


TAKES_LENGTHS = [
    *({"name": name, "hidden_size": 8, "bidirectional": both} for name in ("rnn", "lstm", "gru") for both in (0, 1)),
    {"name": "gru", "hidden_size": 8, "pooling": "mean"},
    {"name": "lstm", "hidden_size": 8, "pooling": "max"},
    {
        "name": "cnn",
        "blocks": [
            {"conv": {"out_channels": 5, "kernel_size": 3, "padding": 1, "batch_norm": True}},
            {"pool": {"kernel_size": 2}},
            {"global_pool": "max"},
        ],
    },
]


@pytest.mark.parametrize("layout", ["sequence", "tokens"])
@pytest.mark.parametrize("model", TAKES_LENGTHS, ids=lambda m: "-".join(map(str, list(m.values())[::2][:2])))
def test_padding_does_not_change_results(model: dict[str, Any], layout: str, tmp_path: Path) -> None:
    """The same sequences with more padding and other padding values give the same weights and predictions."""
    model = {**model, **({"bidirectional": bool(model["bidirectional"])} if "bidirectional" in model else {})}
    data = write_data(tmp_path, layout, lengths=True, samples=24)
    arrays = dict(np.load(data["path"]))
    beyond = np.arange(6) >= arrays["lengths"][:, None]
    widened = dict(arrays)
    more = np.full((24, 4, *arrays["x"].shape[2:]), 3, arrays["x"].dtype)
    widened["x"] = np.concatenate([arrays["x"], more], axis=1)
    widened["x"][:, :6][beyond] = 7
    (tmp_path / "wide").mkdir()
    np.savez(tmp_path / "wide" / "data.npz", **widened)
    outputs, metrics = [], []
    for path, found in ((tmp_path / "data.npz", arrays), (tmp_path / "wide" / "data.npz", widened)):
        config = {
            "data": {**data, "path": str(path), "split": {"val": 0.25, "test": 0.25}},
            "model": model,
            "train": {"epochs": 2, "batch_size": 6},
        }
        run = nnzoo.train(config, runs_dir=tmp_path, quiet=True)
        outputs.append(run.model.outputs(found["x"], found["lengths"]))
        metrics.append(run.metrics)
        alone = [run.model.outputs(x[None], [n]) for x, n in zip(found["x"], found["lengths"], strict=True)]
        torch.testing.assert_close(torch.cat(alone), outputs[-1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(*outputs, rtol=1e-3, atol=1e-4)
    assert metrics[0] == pytest.approx(metrics[1], rel=1e-3, abs=1e-4)


def test_lengths_are_used_in_evaluation_and_checked(tmp_path: Path) -> None:
    from nnzoo.errors import DataError
    from nnzoo.experiment.evaluate.evaluate import evaluate_checkpoint

    data = write_data(tmp_path, "sequence", lengths=True, samples=24)
    data["split"] = {"val": 0.25, "test": 0.25}
    config = {"data": data, "model": {"name": "lstm", "hidden_size": 4}, "train": {"epochs": 1}}
    run = nnzoo.train(config, runs_dir=tmp_path, quiet=True)
    again = evaluate_checkpoint(run.run_dir)
    assert again.metrics["loss"] == run.metrics["test/loss"]
    new = evaluate_checkpoint(run.run_dir, data=data["path"])
    arrays = np.load(data["path"])
    answers = run.model.predict(arrays["x"], lengths=arrays["lengths"])
    assert new.metrics["accuracy"] == pytest.approx(np.mean(answers.astype(int) == arrays["y"]))
    for lengths, message in (([1], "one length per sample"), ([0] * 24, "out of range"), ([1.5] * 24, "integers")):
        with pytest.raises(DataError, match=message):
            run.model.predict(arrays["x"], lengths=lengths)


@pytest.mark.parametrize("model", [{"name": "gru", "hidden_size": 4}, section("cnn"), {"name": "lstm", "embedding": 3}])
def test_tokens(model: dict[str, Any], tmp_path: Path) -> None:
    data = write_data(tmp_path, "tokens")
    run = nnzoo.train({"data": data, "model": model, "train": {"epochs": 1}}, runs_dir=tmp_path, quiet=True)
    assert run.model.metadata.num_tokens == 10
    table = run.model.module.get_parameter("embedding.weight")
    assert table.shape == (10, model.get("embedding", embedding_size(10)))
    assert run.model.config.model.embedding == table.shape[1]  # type: ignore[union-attr]
    (tmp_path / "data.npz").unlink()
    again = nnzoo.load(run.run_dir / "best.safetensors")
    assert len(again.predict([[0, 1, 2, 3, 4, 9]])) == 1
    assert "Embedding" in describe_network(str(run.run_dir)).summary.render()


def rules(net: nn.Module, rule: Rule | None = None) -> dict[str, str]:
    return {each.name: str(each.rule) for each in plan(net, rule or Rule("auto", bias=Rule("constant", {"val": 0.0})))}


def test_recurrent_weights_are_initialised_gate_by_gate() -> None:
    model = {"name": "lstm", "hidden_size": 8, "bidirectional": True}
    torch.manual_seed(0)
    net = nnzoo.build_model({"data": {"name": "random", "shape": [5, 3]}, "model": model})
    found = dict(net.named_parameters())
    for gate in found["recurrent.0.weight_hh_l0_reverse"].detach().chunk(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(8), rtol=0, atol=1e-5)
    assert found["recurrent.0.bias_ih_l0"].tolist() == [0.0] * 8 + [1.0] * 8 + [0.0] * 16
    assert not found["recurrent.0.bias_hh_l0"].any()
    expected = math.sqrt(2 / (3 + 8))
    assert float(found["recurrent.0.weight_ih_l0"].detach().std()) == pytest.approx(expected, rel=0.25)
    assert rules(net)["recurrent.0.weight_ih_l0"] == "xavier_normal"
    given = nnzoo.build_model(
        {
            "data": {"name": "random", "shape": [5, 3]},
            "model": model,
            "init": {"name": "xavier_normal", "bias": 0.5},
        }
    )
    biases = {
        key: set(value.tolist()) for key, value in given.named_parameters() if "recurrent" in key and "bias" in key
    }
    assert biases == {key: {0.5} for key in biases}


def test_convolutions_are_initialised_for_their_activation() -> None:
    blocks = [{"conv": {"out_channels": 64, "kernel_size": 3, "activation": name}} for name in ("relu", "tanh", "selu")]
    net = nnzoo.build_model({"data": "digits", "model": {"name": "cnn", "blocks": blocks}})
    found = rules(net)
    assert [found[f"blocks.{index}.conv.weight"].split("(")[0] for index in range(3)] == [
        "kaiming_normal",
        "xavier_normal",
        "lecun_normal",
    ]
    weight = net.get_parameter("blocks.2.conv.weight")
    assert float(weight.detach().std()) == pytest.approx(math.sqrt(1 / (64 * 9)), rel=0.05)


def test_initializers_of_the_image_networks() -> None:
    image = {"name": "random", "shape": [3, 64, 64]}
    with torch.device("meta"):
        nets = {name: nnzoo.build_model({"data": image, "model": name}) for name in ("resnet20", "vgg11_bn", "alexnet")}
    residual = rules(nets["resnet20"])
    kernels = {rule for name, rule in residual.items() if "conv" in name}
    assert kernels == {"kaiming_normal(mode=fan_out, nonlinearity=relu)"}
    assert residual["output.linear.weight"] == "xavier_normal"
    for name in ("vgg11_bn", "alexnet"):
        found = rules(nets[name])
        assert found.pop("classifier.6.weight") == "xavier_normal"
        assert all("kaiming_normal" in rule for key, rule in found.items() if key.endswith("weight"))


def test_dirac_and_eye_fill_only_the_tensors_that_fit() -> None:
    blocks = [{"conv": {"out_channels": 1, "kernel_size": 3, "padding": "same", "activation": "identity"}}]
    config_dict = {"data": "digits", "model": {"name": "cnn", "blocks": blocks}}
    net = nnzoo.build_model({**config_dict, "init": "dirac"})
    images = torch.randn(2, 1, 8, 8)
    assert net.get_submodule("blocks")(images).equal(images)
    eye = rules(nnzoo.build_model({**config_dict, "init": "eye"}), Rule("eye"))
    assert eye == {"blocks.0.conv.weight": "xavier_normal", "output.linear.weight": "eye"}


def test_torchvision_models_keep_their_initialisation() -> None:
    from torchvision.models import resnet18

    config_dict = {
        "data": {"name": "random", "shape": [3, 64, 64]},
        "model": {"name": "torchvision", "arch": "resnet18"},
    }
    torch.manual_seed(0)
    net = nnzoo.build_model(config_dict)
    torch.manual_seed(0)
    own = resnet18(num_classes=2)
    assert all(a.equal(b) for a, b in zip(net.state_dict().values(), own.state_dict().values(), strict=True))
    assert not nnzoo.build_model({**config_dict, "init": "zeros"}).get_parameter("fc.weight").any()


def test_a_kernel_machine_separates_data_that_is_not_linearly_separable(tmp_path: Path) -> None:
    scores = {}
    for kernel in ("none", "rbf"):
        config = {
            "data": {"name": "circles", "samples": 400},
            "model": {"name": "linear", "kernel": kernel, "gamma": 1.0},
            "optimizer": {"lr": 0.05},
            "train": {"epochs": 40},
        }
        scores[kernel] = nnzoo.train(config, runs_dir=tmp_path, quiet=True).metrics["test/accuracy"]
    assert scores["rbf"] >= 0.95 > 0.75 > scores["none"]
