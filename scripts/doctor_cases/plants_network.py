"""Illnesses of the network: its size, its depth, its activations and its initial weights."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from doctor_cases.plan import Case, Plan
from doctor_cases.planting import (
    Illness,
    choose,
    classifies,
    has_activation,
    has_source,
    is_cnn,
    is_mlp,
    is_recurrent,
    plant,
    power,
    regresses,
)

Pool = Sequence[Plan]
CURVED = ("moons", "circles", "spirals", "xor", "sine", "csv")
"""Data that a linear model can't fit."""


def _no_batch_norm(plan: Plan) -> bool:
    return not plan.model.get("batch_norm")


def _is_deep(plan: Plan) -> bool:
    return plan.depth >= 2


def too_small(rng: random.Random, pool: Pool) -> Case | None:
    twin = choose(
        rng, pool, lambda plan: is_mlp(plan) or is_recurrent(plan), lambda plan: plan.source != "breast_cancer"
    )
    if twin is None:
        return None
    if is_recurrent(twin):
        return plant("network too small", twin, {"model.hidden_size": rng.choice((1, 2))})
    hidden: list[list[int]] = [[1], [2], [2, 2]]
    return plant("network too small", twin, {"model.hidden": rng.choice(hidden)})


def symmetry(rng: random.Random, pool: Pool) -> Case | None:
    twin = choose(rng, pool, is_mlp)
    if twin is None:
        return None
    init: Any = {"name": "constant", "val": rng.choice((0.02, 0.1, 0.3))}
    return plant("symmetry", twin, {"init": init if rng.random() < 0.7 else "zeros"})


def weights_too_large(rng: random.Random, pool: Pool) -> Case | None:
    twin = choose(rng, pool, is_mlp, _no_batch_norm)
    if twin is None:
        return None
    std = power(rng, 1, 6)
    init = rng.choice(({"name": "normal", "std": std}, {"name": "uniform", "a": -2 * std, "b": 2 * std}))
    # The gradients of such a network with several layers explode, and a sigmoid or tanh saturates.
    equal = ("exploding gradients",) if twin.depth >= 3 else ()
    return plant("initial weights too large", twin, {"init": init}, equal=equal)


def weights_too_small(rng: random.Random, pool: Pool) -> Case | None:
    twin = choose(rng, pool, is_mlp, _no_batch_norm, _is_deep)
    if twin is None:
        return None
    init = {"name": "normal", "std": power(rng, 1e-6, 1e-3)}
    # The gradients vanish in proportion to the weights.
    return plant("initial weights too small", twin, {"init": init}, companions=("vanishing gradients",))


def vanishing(rng: random.Random, pool: Pool) -> Case | None:
    if rng.random() < 0.25:
        return _vanishing_in_time(rng)
    twin = choose(rng, pool, is_mlp, _no_batch_norm)
    if twin is None:
        return None
    depth, width = rng.randint(5, 9), rng.choice((24, 32, 48))
    twin = twin.changed(
        {
            "model.hidden": [width] * depth,
            "model.activation": rng.choice(("relu", "elu")),
            "model.dropout": 0.0,
            "optimizer": {"name": "adam", "lr": 1e-3},
        }
    )
    return plant("vanishing gradients", twin, {"model.activation": "sigmoid"})


def _vanishing_in_time(rng: random.Random) -> Case:
    data = {"name": "adding", "length": rng.choice((40, 50)), "samples": 1500, "seed": rng.randrange(1000)}
    model = {"name": "gru", "hidden_size": 32}
    config = {
        "seed": rng.randrange(1000),
        "data": data,
        "model": model,
        "optimizer": {"name": "adam", "lr": 1e-2},
        "train": {"epochs": 20, "clip_grad_norm": 1.0, "early_stopping": None},
    }
    return plant("vanishing gradients", Plan(config), {"model.name": "rnn"})


def exploding(rng: random.Random, pool: Pool) -> Case | None:
    twin = choose(rng, pool, is_mlp, _no_batch_norm)
    if twin is None:
        return None
    depth, width = rng.randint(6, 10), rng.choice((24, 32, 48))
    twin = twin.changed(
        {
            "model.hidden": [width] * depth,
            "model.activation": rng.choice(("relu", "leaky_relu", "elu", "tanh")),
            "model.dropout": 0.0,
            "optimizer": {"name": rng.choice(("adam", "adamw")), "lr": 1e-3},
        }
    )
    gain = 3.0 if twin.activation == "tanh" else power(rng, 3, 6)
    # The gradients explode because of the initial weights.
    return plant(
        "exploding gradients",
        twin,
        {"init": {"name": rng.choice(("xavier_normal", "xavier_uniform", "orthogonal")), "gain": gain}},
        equal=("initial weights too large",),
    )


def dead_units(rng: random.Random, pool: Pool) -> Case | None:
    twin = choose(rng, pool, lambda plan: is_mlp(plan) or is_cnn(plan), has_activation("relu"))
    if twin is None:
        return None
    return plant("dead units", twin, {"init": {"name": "auto", "bias": -power(rng, 3, 20)}})


def saturation(rng: random.Random, pool: Pool) -> Case | None:
    twin = choose(rng, pool, is_mlp, has_activation("tanh", "relu"), _no_batch_norm)
    if twin is None:
        return None
    twin = twin.changed({"model.activation": "tanh", "init": {"name": "xavier_normal"}})
    if twin.source == "csv" and rng.random() < 0.6:
        factor = power(rng, 300, 10_000)
        ill = twin.changed({"preprocess": {"normalize": "none"}}, {"factor": factor})
        change = f"normalize: none, all columns * {factor}"
        # The columns are not scaled, which saturates the units.
        return Case("saturation", change, twin, ill, equal=("unscaled columns",))
    bias = rng.choice((-1, 1)) * power(rng, 5, 15)
    # The bias is an initial weight.
    return plant(
        "saturation",
        twin,
        {"init": {"name": "xavier_normal", "bias": bias}},
        equal=("initial weights too large",),
    )


def output_activation(rng: random.Random, pool: Pool) -> Case | None:
    if rng.random() < 0.7:
        twin = choose(rng, pool, regresses, is_mlp)
        name = rng.choice(("relu", "sigmoid", "tanh", "softmax"))
        return None if twin is None else plant("output activation", twin, {"model.output.activation": name})
    twin = choose(rng, pool, classifies, lambda plan: is_mlp(plan) or is_cnn(plan))
    # Limited logits hardly change the accuracy, but no probability can come near 1.
    name = rng.choice(("tanh", "relu", "hardtanh"))
    return None if twin is None else plant("output activation", twin, {"model.output.activation": name}, measure="loss")


def no_activation(rng: random.Random, pool: Pool) -> Case | None:
    twin = choose(rng, pool, is_mlp, has_source(*CURVED))
    return None if twin is None else plant("no activation", twin, {"model.activation": "identity"})


NETWORK = (
    Illness("network too small", too_small),
    Illness("symmetry", symmetry),
    Illness("initial weights too large", weights_too_large),
    Illness("initial weights too small", weights_too_small),
    Illness("vanishing gradients", vanishing),
    Illness("exploding gradients", exploding),
    Illness("dead units", dead_units),
    Illness("saturation", saturation),
    Illness("output activation", output_activation),
    Illness("no activation", no_activation),
)
