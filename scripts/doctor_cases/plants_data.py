"""Illnesses of the data: scales, labels, leaks, copies, distributions, tokens and images."""

from __future__ import annotations

import random
from collections.abc import Sequence

from doctor_cases.bases import class_table, number_table, textures, topics
from doctor_cases.plan import DATA, Case, Plan
from doctor_cases.planting import Illness, choose, has_source, is_mlp, plant, power

Pool = Sequence[Plan]
FILES = {"data.path": f"{DATA}/train.csv", "data.test_path": f"{DATA}/test.csv"}


def _table(rng: random.Random) -> Plan:
    return class_table(rng) if rng.random() < 0.6 else number_table(rng)


def class_balance(rng: random.Random, pool: Pool) -> Case | None:  # noqa: ARG001
    data = {"classes": rng.choice((2, 3)), "rows": 2000, "separation": 1.2}
    twin = class_table(rng).changed({"train.batch_size": 64, "train.epochs": 60}, data)
    share = rng.choice((0.02, 0.03, 0.05))
    ill = twin.changed({}, {"rare": share})
    return Case("class balance", f"{share:.0%} of the rows have the last class", twin, ill, measure="balanced")


def unscaled_columns(rng: random.Random, pool: Pool) -> Case | None:
    if rng.random() < 0.4:
        twin = choose(rng, pool, is_mlp, has_source("wine", "breast_cancer"))
        return None if twin is None else plant("unscaled columns", twin, {"preprocess.normalize": "none"})
    twin = _table(rng).changed({}, {"scales": rng.choice(([-2, 0, 3], [0, 1, 4], [-1, 0, 2, 5]))})
    ill = twin.changed({"preprocess.normalize": "none"})
    return Case("unscaled columns", "columns of very different scales, normalize: none", twin, ill)


def unscaled_target(rng: random.Random, pool: Pool) -> Case | None:  # noqa: ARG001
    twin = number_table(rng).changed({}, {"target_scale": power(rng, 300, 100_000)})
    ill = twin.changed({"preprocess.scale_target": False})
    return Case("unscaled target", "scale_target: false, large targets", twin, ill)


def label_noise(rng: random.Random, pool: Pool) -> Case | None:  # noqa: ARG001
    twin = class_table(rng).changed({}, {"separation": 2.5, "rows": 900})
    share = rng.choice((0.15, 0.2, 0.3))
    ill = twin.changed({}, {"flipped": share})
    # A network may learn the wrong labels by heart.
    return Case(
        "label noise", f"{share:.0%} of the labels are wrong", twin, ill, companions=("overfitting",), curable=False
    )


def no_signal(rng: random.Random, pool: Pool) -> Case | None:  # noqa: ARG001
    twin = _table(rng)
    ill = twin.changed({}, {"shuffled": True})
    # The best answer without a signal is a constant one, shuffled labels are wrong labels, and a network can learn
    # them by heart.
    return Case(
        "no better than the baseline",
        "the targets are shuffled",
        twin,
        ill,
        equal=("constant prediction",),
        companions=("label noise", "overfitting"),
        curable=False,
        harm=0.2,
    )


def duplicates(rng: random.Random, pool: Pool) -> Case | None:  # noqa: ARG001
    twin = _table(rng).changed({}, {"separation": 1.0, "noise": 0.4})
    share = rng.choice((0.3, 0.5, 0.8))
    ill = twin.changed({}, {"copied": share})
    # Copies in test are a leak between the splits.
    return Case(
        "duplicates", f"{share:.0%} of the rows occur twice", twin, ill, companions=("leak",), measure="inflated"
    )


def leak(rng: random.Random, pool: Pool) -> Case | None:  # noqa: ARG001
    twin = _table(rng).changed({}, {"separation": 1.2, "noise": 0.3})
    if rng.random() < 0.3:
        twin = twin.changed(FILES, {"files": True})
        ill = twin.changed({}, {"leak": "rows"})
        # The same rows in two files are duplicates, too.
        return Case("leak", "test.csv has rows of train.csv", twin, ill, equal=("duplicates",), measure="inflated")
    kinds = ["column", "noisy"] if twin.is_regression else ["column", "noisy", "category"]
    kind = rng.choice(kinds)
    ill = twin.changed({}, {"leak": kind})
    # The reader warns about the same column.
    change = f"a column with the target ({kind})"
    return Case("leak", change, twin, ill, companions=("data",), measure="inflated")


def different_distributions(rng: random.Random, pool: Pool) -> Case | None:  # noqa: ARG001
    if rng.random() < 0.25:
        twin = textures(rng)
        dark = rng.choice((0.7, 0.85))
        return Case(
            "different distributions", f"test images darker by {dark:.0%}", twin, twin.changed({}, {"dark": dark}),
            curable=False,
        )  # fmt: skip
    twin = _table(rng).changed(FILES, {"files": True})
    fault = rng.choice(({"shift": 2.0}, {"shift": 4.0}, {"stretch": 5.0}, {"stretch": 0.1}))
    return Case(
        "different distributions", f"columns of test.csv: {fault}", twin, twin.changed({}, fault), curable=False
    )


def unknown_tokens(rng: random.Random, pool: Pool) -> Case | None:  # noqa: ARG001
    twin = topics(rng)
    changes = rng.choice(({"data.vocab_size": 10}, {"data.vocab_size": 25}, {"data.min_count": 150}))
    return Case("unknown tokens", str(changes), twin, twin.changed(changes))


def sequences_cut(rng: random.Random, pool: Pool) -> Case | None:  # noqa: ARG001
    twin = topics(rng).changed({}, {"late": True, "length": 28})
    length = rng.choice((4, 6, 10))
    # The reader warns about the same texts.
    ill = twin.changed({"data.max_length": length})
    return Case("sequences cut", f"data.max_length={length}", twin, ill, companions=("data",))


def images_too_small(rng: random.Random, pool: Pool) -> Case | None:  # noqa: ARG001
    twin = textures(rng)
    size = rng.choice((4, 5))
    return Case("images too small", f"data.size={size}", twin, twin.changed({"data.size": size}))


DATA_ILLNESSES = (
    Illness("class balance", class_balance),
    Illness("unscaled columns", unscaled_columns),
    Illness("unscaled target", unscaled_target),
    Illness("label noise", label_noise),
    Illness("no better than the baseline", no_signal),
    Illness("duplicates", duplicates),
    Illness("leak", leak),
    Illness("different distributions", different_distributions),
    Illness("unknown tokens", unknown_tokens),
    Illness("sequences cut", sequences_cut),
    Illness("images too small", images_too_small),
)
