"""Random sensible configs, which train well: the healthy runs, and the twins of the planted cases."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from doctor_cases.plan import DATA, Plan

Section = dict[str, Any]
HIDDEN = ("relu", "tanh", "leaky_relu", "elu", "gelu", "silu")


def optimizer(rng: random.Random, *, fast: bool = False) -> Section:
    """Returns an optimizer with a usual learning rate; `fast` for small data, which has few steps per epoch."""
    name = rng.choice(("adam", "adamw", "adamw", "rmsprop", "sgd"))
    if name == "sgd":
        return {"name": "sgd", "lr": rng.choice((0.02, 0.05)), "momentum": 0.9}
    if name == "rmsprop":
        return {"name": name, "lr": rng.choice((1e-3, 2e-3)) * (3 if fast else 1)}
    return {"name": name, "lr": rng.choice((1e-3, 2e-3, 3e-3)) * (4 if fast else 1)}


def training(rng: random.Random, epochs: int, patience: int, sizes: tuple[int, ...] = (16, 32)) -> Section:
    """Returns the section `train`, with early stopping."""
    return {"epochs": epochs, "batch_size": rng.choice(sizes), "early_stopping": {"patience": patience}}


def mlp(rng: random.Random, *hidden: list[int], activations: tuple[str, ...] = HIDDEN) -> Section:
    """Returns a multilayer perceptron with one of the lists of hidden layers."""
    return {"name": "mlp", "hidden": rng.choice(hidden), "activation": rng.choice(activations)}


def _plan(
    rng: random.Random, data: Any, model: Section, opt: Section, train: Section, made: Section | None = None
) -> Plan:
    config = {"seed": rng.randrange(1000), "data": data, "model": model, "optimizer": opt, "train": train}
    return Plan(config, made)


def digits_mlp(rng: random.Random) -> Plan:
    """Handwritten digits with one to three hidden layers."""
    model = mlp(rng, [32], [64], [64, 32], [128, 64], [48, 48, 48])
    if rng.random() < 0.25:
        model["batch_norm"] = True
    if rng.random() < 0.25:
        model["dropout"] = 0.1
    return _plan(rng, "digits", model, optimizer(rng), training(rng, 60, 6, (32, 64)))


def flowers(rng: random.Random) -> Plan:
    """Iris, wine or breast cancer with a small network."""
    name = rng.choice(("iris", "wine", "wine", "breast_cancer"))
    data = {"name": name, "split": {"val": 0.2, "test": 0.2, "seed": rng.randrange(5)}}
    return _plan(rng, data, mlp(rng, [16], [32], [16, 16]), optimizer(rng, fast=True), training(rng, 120, 15))


def points(rng: random.Random) -> Plan:
    """Points in the plane that no line separates."""
    name = rng.choice(("moons", "circles", "spirals", "xor"))
    noise = {"moons": 0.15, "circles": 0.08, "spirals": 0.1, "xor": 0.2}[name]
    data: Section = {"name": name, "samples": rng.choice((600, 900)), "noise": noise, "seed": rng.randrange(1000)}
    if name == "spirals":
        data["classes"] = rng.choice((2, 3))
    model = mlp(rng, [32, 32], [64, 32], [24, 24, 24], activations=("relu", "tanh", "elu", "silu"))
    return _plan(rng, data, model, optimizer(rng, fast=True), training(rng, 150, 20))


def sine(rng: random.Random) -> Plan:
    """A noisy sine curve."""
    data = {"name": "sine", "samples": rng.choice((600, 1000)), "noise": 0.1, "seed": rng.randrange(1000)}
    model = mlp(rng, [32], [32, 32], activations=("tanh", "relu", "silu"))
    opt = {"name": rng.choice(("adam", "adamw")), "lr": rng.choice((5e-3, 1e-2))}
    return _plan(rng, data, model, opt, training(rng, 200, 30, (32,)))


def class_table(rng: random.Random) -> Plan:
    """A table with classes that consist of clusters."""
    made = {
        "make": "table",
        "kind": "classification",
        "seed": rng.randrange(10_000),
        "rows": rng.choice((600, 900)),
        "columns": rng.choice((6, 8, 10)),
        "classes": rng.choice((2, 3, 4)),
        "separation": 1.8,
    }
    data = {"name": "csv", "path": f"{DATA}/data.csv", "target": "y"}
    return _plan(rng, data, mlp(rng, [32], [32, 32], [64, 32]), optimizer(rng, fast=True), training(rng, 100, 12), made)


def number_table(rng: random.Random) -> Plan:
    """A table with a number to predict."""
    made = {
        "make": "table",
        "kind": "regression",
        "seed": rng.randrange(10_000),
        "rows": rng.choice((700, 1000)),
        "columns": rng.choice((4, 5, 6)),
        "target_scale": rng.choice((1.0, 20.0, 3000.0)),
    }
    data = {"name": "csv", "path": f"{DATA}/data.csv", "target": "y"}
    model = mlp(rng, [32, 32], [64, 32], [64], activations=("relu", "tanh", "silu", "gelu"))
    return _plan(rng, data, model, optimizer(rng, fast=True), training(rng, 120, 15), made)


def digits_cnn(rng: random.Random) -> Plan:
    """Handwritten digits with one or two convolutions."""
    width = rng.choice((8, 12))
    norm = rng.random() < 0.5
    blocks: list[Section] = [
        {"conv": {"out_channels": width, "kernel_size": 3, "padding": "same", "batch_norm": norm}},
        {"pool": {"kind": "max", "kernel_size": 2}},
    ]
    if rng.random() < 0.5:
        blocks += [{"conv": {"out_channels": 2 * width, "kernel_size": 3, "padding": "same", "batch_norm": norm}}]
    model = {"name": "cnn", "blocks": blocks, "head": [32], "activation": rng.choice(("relu", "silu"))}
    return _plan(rng, "digits", model, optimizer(rng), training(rng, 40, 6, (32, 64)))


def textures(rng: random.Random) -> Plan:
    """A folder of images with textures."""
    made = {"make": "images", "seed": rng.randrange(10_000), "size": rng.choice((16, 20)), "rows": 360}
    data = {"name": "image_folder", "path": DATA + "/", "split": {"val": 0.2}}
    width = rng.choice((8, 12))
    blocks: list[Section] = [
        {"conv": {"out_channels": width, "kernel_size": 3, "padding": "same"}},
        {"pool": {"kind": "max", "kernel_size": 2}},
        {"conv": {"out_channels": 2 * width, "kernel_size": 3, "padding": "same"}},
        {"global_pool": rng.choice(("avg", "max"))},
    ]
    model = {"name": "cnn", "blocks": blocks, "activation": "relu"}
    opt = {"name": rng.choice(("adam", "adamw")), "lr": rng.choice((5e-3, 1e-2))}
    return _plan(rng, data, model, opt, training(rng, 40, 8), made)


def digits_recurrent(rng: random.Random) -> Plan:
    """Handwritten digits, read row by row."""
    model = {"name": rng.choice(("lstm", "gru", "rnn")), "hidden_size": rng.choice((32, 48))}
    opt = {"name": rng.choice(("adam", "adamw")), "lr": rng.choice((3e-3, 5e-3))}
    return _plan(rng, "digits", model, opt, training(rng, 40, 6, (32, 64)))


def waves(rng: random.Random) -> Plan:
    """Sequences of three frequencies."""
    made = {"make": "sequences", "seed": rng.randrange(10_000), "length": rng.choice((16, 24)), "rows": 600}
    data = {"name": "arrays", "path": f"{DATA}/data.npz"}
    model = {"name": rng.choice(("lstm", "gru")), "hidden_size": rng.choice((24, 32))}
    opt = {"name": rng.choice(("adam", "adamw")), "lr": rng.choice((5e-3, 1e-2))}
    train = training(rng, 50, 10)
    return _plan(rng, data, model, opt, {**train, "clip_grad_norm": 1.0}, made)


def adding(rng: random.Random) -> Plan:
    """The adding problem over a few steps."""
    data = {"name": "adding", "length": rng.choice((10, 16)), "samples": 1500, "seed": rng.randrange(1000)}
    model = {"name": rng.choice(("lstm", "gru")), "hidden_size": 24}
    train = training(rng, 40, 10, (32,))
    return _plan(rng, data, model, {"name": "adam", "lr": 1e-2}, {**train, "clip_grad_norm": 1.0})


def topics(rng: random.Random) -> Plan:
    """Texts with keywords of three topics."""
    late = rng.random() < 0.5
    made = {"make": "texts", "seed": rng.randrange(10_000), "length": rng.choice((20, 28)), "rows": 600, "late": late}
    data = {"name": "text", "path": f"{DATA}/data.csv", "text": "text", "target": "target"}
    model: Section = {"name": rng.choice(("lstm", "gru", "cnn")), "embedding": 16}
    if model["name"] == "cnn":
        model["blocks"] = [{"conv": {"out_channels": 32, "kernel_size": 3}}, {"global_pool": "max"}]
        model["dropout"] = 0.2
    else:
        model |= {"hidden_size": 32, "pooling": rng.choice(("max", "mean"))}
    opt = {"name": rng.choice(("adam", "adamw")), "lr": rng.choice((5e-3, 1e-2))}
    return _plan(rng, data, model, opt, training(rng, 30, 6, (32,)), made)


def seasons(rng: random.Random) -> Plan:
    """A series with a season."""
    made = {"make": "series", "seed": rng.randrange(10_000), "period": rng.choice((8, 12)), "noise": 0.2}
    data = {"name": "series", "path": f"{DATA}/data.csv", "target": "value", "window": 24}
    model: Section = (
        {"name": "linear"} if rng.random() < 0.4 else mlp(rng, [32], [32, 16], activations=("relu", "tanh"))
    )
    opt = {"name": rng.choice(("adam", "adamw")), "lr": rng.choice((2e-3, 5e-3))}
    return _plan(rng, data, model, opt, training(rng, 100, 15), made)


BASES: tuple[Callable[[random.Random], Plan], ...] = (
    digits_mlp,
    points,
    class_table,
    number_table,
    digits_cnn,
    flowers,
    sine,
    digits_mlp,
    topics,
    points,
    number_table,
    textures,
    class_table,
    digits_recurrent,
    waves,
    digits_mlp,
    points,
    number_table,
    flowers,
    adding,
    class_table,
    digits_cnn,
    seasons,
)


def base(seed: int, index: int) -> Plan:
    """Returns the sensible config of that number."""
    return BASES[index % len(BASES)](random.Random(f"{seed}/base/{index}"))
