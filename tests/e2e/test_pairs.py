"""Trains every section of a config, alone and in pairs: it trains, or is refused with a reason before the first step.

The names come from the unions, so that new sections are paired with all others. `validate` refuses what the config
determines; what only the data determines is refused after reading it.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

import nnzoo
from nnzoo.cli.app import run
from nnzoo.config import load_config
from nnzoo.config.base import listed
from nnzoo.config.data import Files
from nnzoo.config.describe import UNIONS
from nnzoo.config.loss import Loss
from nnzoo.config.metrics import METRICS
from nnzoo.config.model import ImageNet, Model, Perceptron
from nnzoo.errors import ConfigError, DataError, UsageError

NAMES: dict[str, dict[str, Any]] = {kind: listed(union) for kind, union in UNIONS.items()}
REQUIRED: dict[str, dict[str, dict[str, Any]]] = {
    "models": {
        "cnn": {
            "blocks": [
                {"conv": {"out_channels": 4, "kernel_size": 3, "padding": "same"}},
                {"pool": {"kernel_size": 2}},
                {"global_pool": "avg"},
            ]
        },
        "torchvision": {"arch": "shufflenet_v2_x0_5"},
    },
    "data": {
        "random": {"shape": [4]},
        # The files do not exist.
        **{
            name: {
                key: {"path": "none", "target": "y"}[key]
                for key, field in section.model_fields.items()
                if field.is_required() and key != "name"
            }
            for name, section in NAMES["data"].items()
            if issubclass(section, Files)
        },
        "arrays": {"path": "data.npz"},
        "csv": {"path": "data.csv", "target": "y"},
        # Tests do not download anything.
        **{
            name: {"root": "none", "download": False}
            for name, section in NAMES["data"].items()
            if "download" in section.model_fields
        },
    },
    "augmentations": {
        "random_crop": {"padding": 1},
        "rotation": {"degrees": 10},
        "color_jitter": {"brightness": 0.2},
    },
    "initializers": {"constant": {"val": 0.1}, "values": {"values": [[0.1]]}},
    "schedulers": {
        "step": {"step_size": 1},
        "multistep": {"milestones": [1, 2]},
        "exponential": {"gamma": 0.5},
        "cosine_restarts": {"T_0": 1},
        "cyclic": {"base_lr": 1e-5},
    },
}
"""Values of required fields. A new section with such a field needs a row here, or the first test fails."""

TASKS = {
    "binary": "classification",
    "classes": "classification",
    "probabilities": "classification",
    "multilabel": "multilabel",
    "regression": "regression",
    "values": "regression",
}
"""The task by kind of targets."""
SHAPES = {"features": (4,), "sequence": (6, 3), "image": (3, 8, 8), "tokens": (6,)}
SAMPLES = 36


def make_section(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, **REQUIRED.get(kind, {}).get(name, {}), **more}


def arrays(folder: Path, layout: str, targets: str, *, explicit: bool) -> dict[str, Any]:
    """Writes samples and returns their section; `explicit` adds layout and task, which are otherwise inferred."""
    rng = np.random.default_rng(0)
    x: Any = rng.normal(size=(SAMPLES, *SHAPES[layout])).astype(np.float32)
    if layout == "tokens":
        x = rng.integers(0, 9, (SAMPLES, *SHAPES[layout]))
    some = rng.normal(size=(SAMPLES, 3)).astype(np.float32)
    y = {
        "binary": np.arange(SAMPLES) % 2,
        "classes": np.arange(SAMPLES) % 3,
        "probabilities": np.exp(some) / np.exp(some).sum(1, keepdims=True),
        "multilabel": (some > 0).astype(np.int64),
        "regression": some[:, 0],
        "values": some,
    }[targets]
    np.savez(folder / "data.npz", x=x, y=y)
    known = {"layout": layout, "task": TASKS[targets]} if explicit else {}
    return make_section("data", "arrays", path=str(folder / "data.npz"), **known)


def synthetic(targets: str, layout: str = "features") -> dict[str, Any]:
    """Returns a section from which all facts follow without reading data."""
    of = {"binary": {"classes": 2}, "classes": {"classes": 3}, "regression": {"targets": 1}, "values": {"targets": 3}}
    return make_section("data", "random", shape=list(SHAPES[layout]), samples=SAMPLES, **of[targets])


def outcome(folder: Path, **sections: Any) -> str:
    """Returns "trained", or what refused it: "config" or "data"."""
    train = {"epochs": 2, "batch_size": 8, "early_stopping": None, "checkpoint": {"every_epochs": None}}
    config = {"model": "linear", **sections, "train": {**train, **sections.get("train", {})}}
    file, runs = folder / "pair.yaml", folder / "runs"
    file.write_text(json.dumps(config), encoding="utf-8")
    try:
        load_config(file)
    except ConfigError as error:
        assert run(["validate", str(file)]) == 2
        check_reason(error)
        return "config"
    try:
        trained = nnzoo.train(file, runs_dir=runs, quiet=True)
    except (ConfigError, DataError, UsageError) as error:
        check_reason(error)
        assert not runs.exists() or not any(runs.iterdir())
        return "data"
    assert len(trained.history.rows) == config["train"]["epochs"]
    numbers = {**trained.metrics, **trained.history.rows[-1]}
    assert all(math.isfinite(value) for value in numbers.values()), numbers
    return "trained"


def check_reason(error: Exception) -> None:
    """Checks that an error has a place and a sentence."""
    first = str(error).split("\n")[0]
    assert re.search(r"[\w.]+: \S.* .*\S", first), first
    assert not re.search(r"Error\b|Traceback|None", first), first


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in NAMES.items() for name in names])
def test_every_section_is_valid_alone(kind: str, name: str) -> None:
    """A refused pair is then refused because of the combination, not because of a missing field."""
    assert TypeAdapter(UNIONS[kind]).validate_python(make_section(kind, name)).name == name


def fits(model: type[Model], layout: str, task: str) -> bool:
    """Returns whether a pair trains. Images of 8 x 8 are too small for some models, which the tests of models train."""
    small = issubclass(model, ImageNet) and model.smallest > 8
    return layout in model.layouts and not small and (not issubclass(model, Perceptron) or task == "classification")


def models_and_data() -> list[Any]:
    """Returns all kinds of targets for one model per family, and one kind for the others, which differ only in size."""
    families: set[type[Model]] = set()
    kinds = ("binary", "classes", "multilabel", "regression")
    found = []
    for name, section in NAMES["models"].items():
        for layout, targets in itertools.product(SHAPES, kinds if section not in families else ("classes",)):
            slow = section in families or targets not in ("classes", "regression")
            found.append(pytest.param(name, layout, targets, marks=[pytest.mark.slow] if slow else []))
        families.add(section)
    return found


@pytest.mark.parametrize(("model", "layout", "targets"), models_and_data())
def test_a_model_and_a_kind_of_data(model: str, layout: str, targets: str, tmp_path: Path) -> None:
    section, task = NAMES["models"][model], TASKS[targets]
    sections = {"model": make_section("models", model)}
    found = outcome(tmp_path, data=arrays(tmp_path, layout, targets, explicit=True), **sections)
    assert (found == "trained") == fits(section, layout, task)
    if layout not in section.layouts or (model == "perceptron" and task != "classification"):
        assert found == "config"
    # Without layout and task, the data refuses. Numbers with two axes are features unless the layout is tokens.
    if found == "config" and layout != "tokens" and targets != "probabilities":
        assert outcome(tmp_path, data=arrays(tmp_path, layout, targets, explicit=False), **sections) == "data"


def csv(folder: Path) -> dict[str, Any]:
    """Writes a table and returns its section."""
    rows = [
        f"{x:.3f},{x * x:.3f},{'abc'[index % 3]}"
        for index, x in enumerate(np.random.default_rng(0).normal(size=SAMPLES))
    ]
    (folder / "data.csv").write_text("\n".join(["x,z,y", *rows]))
    return make_section("data", "csv", path=str(folder / "data.csv"))


WRITTEN = {"arrays": lambda folder: arrays(folder, "features", "classes", explicit=True), "csv": csv}
"""Sources whose files exist here. The files of other sources are missing."""


@pytest.mark.parametrize("model", ["linear", "mlp", "cnn", "gru", "lenet5"])
@pytest.mark.parametrize("source", NAMES["data"])
def test_a_model_and_a_source(model: str, source: str, tmp_path: Path) -> None:
    data = WRITTEN[source](tmp_path) if source in WRITTEN else make_section("data", source)
    found = outcome(tmp_path, data=data, model=make_section("models", model), train={"batch_size": 256})
    facts = TypeAdapter(UNIONS["data"]).validate_python(data).facts()
    unreadable = facts.layout and facts.layout not in NAMES["models"][model].layouts
    if unreadable or (facts.per == "step" and model != "gru"):
        assert found == "config"
    elif source not in WRITTEN and {"path", "root"} & NAMES["data"][source].model_fields.keys():
        assert found == "data"
    else:
        assert found == "trained"


@pytest.mark.parametrize(("loss", "targets"), list(itertools.product(NAMES["losses"], TASKS)))
def test_a_loss_and_a_task(loss: str, targets: str, tmp_path: Path) -> None:
    """Every metric of the task is computed, except those that the loss or the number of classes excludes."""
    section, task = NAMES["losses"][loss], TASKS[targets]
    assert issubclass(section, Loss)
    metrics = [name for name, metric in METRICS.items() if task in metric.tasks and name != "top5_accuracy"]
    if section.reads == "margins" and "perplexity" in metrics:
        refused = outcome(
            tmp_path, data=arrays(tmp_path, "features", targets, explicit=True), loss=loss, train={"metrics": metrics}
        )
        assert refused == "config"
        metrics.remove("perplexity")
    sections = {"loss": loss, "train": {"metrics": metrics}}
    found = outcome(tmp_path, data=arrays(tmp_path, "features", targets, explicit=True), **sections)
    assert found == ("trained" if task in section.tasks else "config")
    if found == "config" and targets != "probabilities":
        assert outcome(tmp_path, data=arrays(tmp_path, "features", targets, explicit=False), **sections) == "data"


@pytest.mark.parametrize(("metric", "targets"), list(itertools.product(METRICS, TASKS)))
def test_a_metric_and_a_task(metric: str, targets: str, tmp_path: Path) -> None:
    data = arrays(tmp_path, "features", targets, explicit=True)
    found = outcome(tmp_path, data=data, train={"metrics": [metric], "monitor": f"val/{metric}"})
    if TASKS[targets] not in METRICS[metric].tasks:
        assert found == "config"
    else:
        # That there are at most five classes is only known from the data.
        assert found == ("data" if metric == "top5_accuracy" else "trained")


SPECIAL_ENDINGS = ("identity", "softmax", "log_softmax", "sigmoid", "step")
"""Output activations that some losses treat specially, or that have no gradient."""
LOSSES_AND_ENDINGS = [
    pytest.param(*each, marks=[] if each[2] == "classes" and each[1] in SPECIAL_ENDINGS else pytest.mark.slow)
    for each in itertools.product(NAMES["losses"], NAMES["activations"], ("binary", "classes", "regression"))
    if TASKS[each[2]] in NAMES["losses"][each[0]].tasks and (each[1] in SPECIAL_ENDINGS or each[2] == "classes")
]


@pytest.mark.parametrize(("loss", "activation", "targets"), LOSSES_AND_ENDINGS)
def test_a_loss_and_an_output_activation(loss: str, activation: str, targets: str, tmp_path: Path) -> None:
    """All facts about this data follow from the config, so every valid config trains."""
    model = {"name": "linear", "output": {"activation": make_section("activations", activation)}}
    found = outcome(tmp_path, data=synthetic(targets), model=model, loss=loss)
    assert found in ("config", "trained")
    assert found == "trained" or activation in SPECIAL_ENDINGS[1:]


def activated(activation: str) -> dict[str, Any]:
    # step has a zero gradient, so the layers before it must be frozen.
    frozen = {"freeze": "backbone"} if activation == "step" else {}
    return {"name": "mlp", "hidden": [6, 6], "activation": make_section("activations", activation), **frozen}


@pytest.mark.parametrize("activation", NAMES["activations"])
def test_an_activation_and_every_initializer(activation: str, tmp_path: Path) -> None:
    """The default initializer trains; with all others, the loss and its gradients are finite."""
    torch.manual_seed(0)
    data, inputs = synthetic("classes"), torch.randn(12, 4)
    assert outcome(tmp_path, data=data, model=activated(activation)) == "trained"
    # dirac and whitening are for convolutions, and values are for a single layer.
    for init in NAMES["initializers"].keys() - {"dirac", "whitening", "values"}:
        config = {"data": data, "model": activated(activation), "init": make_section("initializers", init)}
        net = nnzoo.build_model(config)
        loss = nn.functional.cross_entropy(net(inputs), torch.arange(12) % 3)
        trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
        numbers = [loss, *torch.autograd.grad(loss, trained)]
        assert all(bool(number.isfinite().all()) for number in numbers), init


@pytest.mark.parametrize("init", NAMES["initializers"])
@pytest.mark.parametrize(
    ("model", "layout"),
    [
        ("linear", "features"),
        *(pytest.param(*pair, marks=pytest.mark.slow) for pair in (("cnn", "image"), ("lstm", "sequence"))),
    ],
)
def test_a_model_and_an_initializer(model: str, layout: str, init: str, tmp_path: Path) -> None:
    sections = {"model": make_section("models", model), "init": make_section("initializers", init)}
    found = outcome(tmp_path, data=synthetic("classes", layout), **sections)
    assert found == (
        "config" if init in ("whitening", "values") or (init == "dirac" and layout != "image") else "trained"
    )


@pytest.mark.parametrize(("optimizer", "scheduler"), list(itertools.product(NAMES["optimizers"], NAMES["schedulers"])))
def test_an_optimizer_and_a_scheduler(optimizer: str, scheduler: str, tmp_path: Path) -> None:
    sections = {"optimizer": make_section("optimizers", optimizer), "scheduler": make_section("schedulers", scheduler)}
    train = {"batch_size": "full" if optimizer == "lbfgs" else 8}
    assert outcome(tmp_path, data=synthetic("binary"), train=train, **sections) == "trained"


@pytest.mark.parametrize("changes", [{"interval": "step"}, {"interval": "epoch"}, {"warmup_epochs": 1}])
@pytest.mark.parametrize("scheduler", NAMES["schedulers"])
def test_a_scheduler_and_its_interval(scheduler: str, changes: dict[str, Any], tmp_path: Path) -> None:
    section = make_section("schedulers", scheduler, **changes)
    found = outcome(tmp_path, data=synthetic("binary"), scheduler=section)
    assert found == ("config" if scheduler == "plateau" and changes == {"interval": "step"} else "trained")
    # A single epoch with a single step is the shortest schedule.
    shortest = {"epochs": 1, "batch_size": "full"}
    found = outcome(tmp_path, data=synthetic("binary"), scheduler=section, train=shortest)
    assert found in ("config", "trained")


CHANGES: dict[str, dict[str, Any]] = {
    "l1": {"regularization": {"l1": 0.01}},
    "l2": {"regularization": {"l2": 0.01}},
    "clipped": {"train": {"clip_grad_norm": 1.0}},
    "accumulated": {"train": {"accumulate_grad_batches": 3}},
    "frozen": {"model": {"name": "mlp", "freeze": "backbone"}},
}


@pytest.mark.parametrize(("optimizer", "changed"), list(itertools.product(NAMES["optimizers"], CHANGES)))
def test_an_optimizer_and_changes_of_its_step(optimizer: str, changed: str, tmp_path: Path) -> None:
    changes = CHANGES[changed]
    # lbfgs needs gradients of the same loss, so it gets the full batch.
    full = {"train": {"batch_size": "full", **changes.get("train", {})}} if optimizer == "lbfgs" else {}
    found = outcome(tmp_path, data=synthetic("classes"), optimizer=optimizer, **{**changes, **full})
    assert found == ("config" if optimizer == "lbfgs" and changed in ("l1", "clipped") else "trained")


STEPS: list[dict[str, Any]] = [
    *({"normalize": name} for name in ("none", "center", "standardize", "minmax")),
    {"pca": {"n_components": 2}},
    {"pca": {"n_components": 2, "whiten": True}},
    {"zca": True},
]


@pytest.mark.parametrize("steps", STEPS, ids=str)
@pytest.mark.parametrize("layout", SHAPES)
@pytest.mark.parametrize("model", ["mlp", *(pytest.param(name, marks=pytest.mark.slow) for name in ("cnn", "gru"))])
def test_preprocessing_and_a_kind_of_data(model: str, layout: str, steps: dict[str, Any], tmp_path: Path) -> None:
    data = arrays(tmp_path, layout, "classes", explicit=True)
    found = outcome(tmp_path, data=data, model=make_section("models", model), preprocess=steps)
    readable = layout in NAMES["models"][model].layouts
    names_moved = layout == "tokens" and steps != {"normalize": "none"}
    flattened = layout == "image" and "pca" in steps and "features" not in NAMES["models"][model].layouts
    assert found == ("trained" if readable and not names_moved and not flattened else "config")


@pytest.mark.parametrize("layout", SHAPES)
@pytest.mark.parametrize("name", NAMES["augmentations"])
def test_an_augmentation_and_a_kind_of_data(name: str, layout: str, tmp_path: Path) -> None:
    data = arrays(tmp_path, layout, "classes", explicit=True)
    model = make_section("models", "gru") if layout == "tokens" else "linear"
    found = outcome(tmp_path, data=data, model=model, augment=[make_section("augmentations", name)])
    if layout not in NAMES["augmentations"][name].layouts:
        assert found == "config"
    else:
        # That the numbers are not pixels is only known from the data.
        assert found == ("data" if name == "color_jitter" else "trained")


PARTS = [
    (kind, name)
    for kind in ("initializers", "activations", "losses", "optimizers", "schedulers")
    for name in NAMES[kind]
    if name not in ("dirac", "whitening", "values")
]


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_every_part_reduces_the_loss_and_survives_loading(kind: str, name: str, tmp_path: Path) -> None:
    """In 36 steps the loss falls and all trained parameters change; a loaded network has the same outputs.

    The tests of models check the same for models.
    """
    config: dict[str, Any] = {
        "data": {"name": "blobs", "samples": 60, "split": {"val": 0, "test": 0}},
        "model": {"name": "mlp", "hidden": [6], "activation": "tanh"},
        "optimizer": {"name": "adam", "lr": 0.02},
        "train": {"epochs": 12, "batch_size": 20, "early_stopping": None},
    }
    section = make_section(kind, name)
    key = {"initializers": "init", "losses": "loss", "optimizers": "optimizer", "schedulers": "scheduler"}.get(kind)
    changes = {key: section} if key else {"model": activated(name)}
    if name == "lbfgs":
        changes["train"] = {**config["train"], "batch_size": "full"}
    config |= changes
    torch.manual_seed(0)
    net = nnzoo.build_model(config)
    start = {key: value.clone() for key, value in net.state_dict().items()}
    run = nnzoo.train(config, runs_dir=tmp_path, quiet=True)
    losses = run.history["train/loss"]
    assert losses[-1] < losses[0]
    moved = {key for key, value in run.model.module.state_dict().items() if not value.equal(start[key])}
    trained = {key for key, parameter in net.named_parameters() if parameter.requires_grad}
    # With zeros, all gradients are zero except that of the output bias.
    assert moved == ({"output.linear.bias"} if name == "zeros" else trained)
    raw = np.random.default_rng(0).normal(size=(10, 2))
    assert nnzoo.load(run.run_dir / "best.safetensors").outputs(raw).equal(run.model.outputs(raw))
