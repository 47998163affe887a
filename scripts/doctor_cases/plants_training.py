"""Illnesses of the optimization: learning rate, epochs, batches, regularization, frozen layers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from doctor_cases.bases import class_table, number_table
from doctor_cases.plan import Case, Plan
from doctor_cases.planting import Illness, choose, has_source, is_cnn, is_mlp, is_recurrent, plant, power

Pool = Sequence[Plan]


def rate_too_high(rng: random.Random, pool: Pool) -> Case | None:
    twin = choose(rng, pool)
    if twin is None:
        return None
    rate = float(f"{twin.config['optimizer']['lr'] * power(rng, 30, 1000):.2g}")
    return plant("learning rate too high", twin, {"optimizer.lr": rate})


def rate_too_low(rng: random.Random, pool: Pool) -> Case | None:
    twin = choose(rng, pool)
    if twin is None:
        return None
    rate = float(f"{twin.config['optimizer']['lr'] / power(rng, 100, 3000):.2g}")
    return plant("learning rate too low", twin, {"optimizer.lr": rate})


def stopped_too_early(rng: random.Random, pool: Pool) -> Case | None:
    twin = choose(rng, pool)
    if twin is None:
        return None
    if rng.random() < 0.3:
        return plant(
            "stopped too early", twin, {"train.early_stopping": {"patience": rng.choice((1, 2)), "min_delta": 0.3}}
        )
    return plant("stopped too early", twin, {"train.epochs": rng.randint(1, 4)})


def plateau(rng: random.Random, pool: Pool) -> Case | None:
    twin = choose(rng, pool, lambda plan: plan.config["train"]["epochs"] >= 40)
    if twin is None:
        return None
    schedule = rng.choice(
        (
            {"name": "exponential", "gamma": rng.choice((0.3, 0.4, 0.5))},
            {"name": "step", "step_size": rng.choice((1, 2)), "gamma": 0.1},
            {"name": "multistep", "milestones": [1, 2, 3], "gamma": 0.1},
        )
    )
    # The rate falls to almost zero after a few epochs: to raise it or to change the schedule is equally right.
    changes = {"scheduler": schedule, "train.early_stopping": None}
    return Case(
        "plateau",
        f"scheduler={schedule}",
        twin,
        twin.changed({**changes, "train.epochs": 30}),
        equal=("learning rate too low",),
    )


def batch_too_large(rng: random.Random, pool: Pool) -> Case | None:
    twin = choose(rng, pool, lambda plan: plan.source not in {"iris", "wine"})
    if twin is None:
        return None
    epochs = rng.choice((15, 20, 25))
    twin = twin.changed({"train.epochs": epochs, "train.batch_size": 16})
    return plant("batch size too large", twin, {"train.batch_size": "full"})


def batch_too_small(rng: random.Random, pool: Pool) -> Case | None:
    twin = choose(
        rng, pool, is_mlp, has_source("iris", "wine", "csv", "moons", "circles", "xor", "sine", "breast_cancer"),
        lambda plan: not plan.model.get("batch_norm"),
    )  # fmt: skip
    if twin is None:
        return None
    rate = rng.choice((0.1, 0.2))
    twin = twin.changed(
        {
            "optimizer": {"name": "sgd", "lr": rate, "momentum": 0.9},
            "train.batch_size": rng.choice((64, 128)),
            "train.epochs": 25,
        }
    )
    # With one sample per step, the same rate is too high: a lower rate is equally right.
    return plant(
        "batch size too small", twin, {"train.batch_size": rng.choice((1, 2))}, equal=("learning rate too high",)
    )


def tiny_batch_norm(rng: random.Random, pool: Pool) -> Case | None:
    twin = choose(
        rng, pool, is_mlp, has_source("iris", "wine", "csv", "moons", "circles", "xor", "spirals"),
    )  # fmt: skip
    if twin is None:
        return None
    twin = twin.changed({"model.batch_norm": True, "train.batch_size": 32, "train.epochs": 40})
    # The batch size is the cause in both cases.
    return plant("batch norm with tiny batches", twin, {"train.batch_size": 2}, companions=("batch size too small",))


def too_much_dropout(rng: random.Random, pool: Pool) -> Case | None:
    twin = choose(rng, pool, lambda plan: is_mlp(plan) or (is_cnn(plan) and bool(plan.model.get("head"))))
    if twin is None:
        return None
    return plant("too much dropout", twin, {"model.dropout": rng.choice((0.8, 0.85, 0.9, 0.95))})


def too_much_decay(rng: random.Random, pool: Pool) -> Case | None:
    twin = choose(rng, pool)
    if twin is None:
        return None
    kind = rng.choice(("l1", "l2", "weight_decay"))
    if kind == "weight_decay" and twin.config["optimizer"]["name"] == "adamw":
        return plant("too much weight decay", twin, {"optimizer.weight_decay": power(rng, 10, 60)})
    if kind == "weight_decay":
        return plant("too much weight decay", twin, {"optimizer.weight_decay": power(rng, 0.1, 1)})
    return plant("too much weight decay", twin, {f"regularization.{kind}": power(rng, 0.03, 1)})


def overfitting(rng: random.Random, pool: Pool) -> Case | None:  # noqa: ARG001
    twin = class_table(rng) if rng.random() < 0.6 else number_table(rng)
    data = {"rows": rng.choice((150, 220)), "columns": 14, "separation": 1.1, "noise": 0.5}
    hidden = rng.choice(([256, 256], [512], [128, 128, 128]))
    opt = {"name": "adamw", "lr": rng.choice((1e-3, 3e-3)), "weight_decay": 0.1}
    twin = twin.changed(
        {"model": {"name": "mlp", "hidden": [16], "dropout": 0.2}, "optimizer": opt, "train.batch_size": 16}, data
    )
    changes = {
        "model.hidden": hidden,
        "model.dropout": 0.0,
        "train.early_stopping": None,
        "optimizer.weight_decay": 0.0,
    }
    return plant("overfitting", twin, changes, measure="last loss")


def frozen_layers(rng: random.Random, pool: Pool) -> Case | None:
    twin = choose(rng, pool, lambda plan: is_mlp(plan) or is_cnn(plan) or is_recurrent(plan))
    if twin is None:
        return None
    patterns: list[Any] = ["backbone", ["*weight*"]]
    return plant("frozen layers", twin, {"model.freeze": rng.choice(patterns)})


def worse_than_linear(rng: random.Random, pool: Pool) -> Case | None:  # noqa: ARG001
    twin = number_table(rng)
    data = {"teacher": "linear", "rows": rng.choice((120, 160)), "columns": rng.choice((20, 30)), "noise": 0.3}
    twin = twin.changed({"model": {"name": "linear"}, "optimizer": {"name": "adam", "lr": 0.02}}, data)
    # A network that is too large for the samples is the reason.
    return plant(
        "worse than a linear model", twin, {"model": {"name": "mlp", "hidden": [128, 64]}}, equal=("overfitting",)
    )


TRAINING = (
    Illness("learning rate too high", rate_too_high),
    Illness("learning rate too low", rate_too_low),
    Illness("stopped too early", stopped_too_early),
    Illness("plateau", plateau),
    Illness("batch size too large", batch_too_large),
    Illness("batch size too small", batch_too_small),
    Illness("batch norm with tiny batches", tiny_batch_norm),
    Illness("too much dropout", too_much_dropout),
    Illness("too much weight decay", too_much_decay),
    Illness("overfitting", overfitting),
    Illness("frozen layers", frozen_layers),
    Illness("worse than a linear model", worse_than_linear),
)
