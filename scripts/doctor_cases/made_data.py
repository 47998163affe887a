"""Makes small data sets as files: tables, sequences, texts, images and series, each with faults on request."""

from __future__ import annotations

import csv
import os
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import make_classification

from doctor_cases.plan import digest

Numbers = NDArray[np.float64]


def make(recipe: dict[str, Any], root: Path) -> Path:
    """Makes the data of a recipe, unless it exists already, and returns its folder."""
    folder = root / digest(recipe)
    if not folder.is_dir():
        building = root / f".{folder.name}-{os.getpid()}"
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        arguments = {key: value for key, value in recipe.items() if key != "make"}
        MAKERS[recipe["make"]](building, **arguments)
        try:
            building.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(building)
    return folder


def table(
    folder: Path,
    *,
    seed: int,
    kind: Literal["classification", "regression"],
    rows: int = 600,
    columns: int = 8,
    classes: int = 3,
    separation: float = 1.5,
    teacher: Literal["curved", "linear"] = "curved",
    noise: float = 0.1,
    scales: Sequence[float] = (),
    factor: float = 1.0,
    target_scale: float = 1.0,
    rare: float = 0.0,
    flipped: float = 0.0,
    shuffled: bool = False,
    copied: float = 0.0,
    leak: Literal["", "column", "noisy", "category", "rows"] = "",
    files: bool = False,
    shift: float = 0.0,
    stretch: float = 1.0,
) -> None:
    """Writes data.csv, or train.csv and test.csv, with the columns x0, x1, ... and y.

    Args:
        folder: Where to write.
        seed: Seed of everything.
        kind: The type of the target.
        rows: The number of rows, before copies.
        columns: The number of columns.
        classes: The number of classes.
        separation: The distance of the classes.
        teacher: How a number depends on the columns.
        noise: Noise of a target, as a share of its standard deviation.
        scales: Powers of ten that the columns are multiplied with, in random order.
        factor: A factor of all columns.
        target_scale: A factor of the target.
        rare: The share of the last class; 0: classes of equal size.
        flipped: The share of rows with the label of another class.
        shuffled: Whether the targets do not depend on the columns.
        copied: The share of rows that are written twice.
        leak: A column that contains the target, or test rows that are also train rows.
        files: Whether to write train.csv and test.csv.
        shift: The shift of the columns of test.csv, in standard deviations.
        stretch: A factor of the columns of test.csv.
    """
    rng = np.random.default_rng(seed)
    if kind == "classification":
        x, labels = _classes(seed, rows, columns, classes, separation, rare)
        y: NDArray[Any] = np.where(
            rng.random(rows) < flipped, (labels + rng.integers(1, classes, rows)) % classes, labels
        )
    else:
        x = rng.normal(size=(rows, columns))
        y = _curved(x) if teacher == "curved" else x @ rng.normal(size=columns)
        y = target_scale * (3 + (y - y.mean()) / y.std() + noise * rng.normal(size=rows))
    if shuffled:
        y = rng.permutation(y)
    leaked = _leaked(leak, y, rng)
    if scales:
        x = x * 10.0 ** rng.permutation(np.resize(np.array(scales), columns)) + 0.0
    x = x * factor
    again = rng.permutation(rows)[: int(copied * rows)]
    order = rng.permutation(np.concatenate([np.arange(rows), again]))
    if files:
        cut = int(0.75 * len(order))
        train, test = order[:cut], order[cut:]
        if leak == "rows":
            test = np.concatenate([test[: len(test) // 4], train[: len(test)]])
        _write(folder / "train.csv", x[train], y[train], [each[train] for each in leaked])
        moved = stretch * (x[test] + shift * x.std(0))
        _write(folder / "test.csv", moved, y[test], [each[test] for each in leaked])
    else:
        _write(folder / "data.csv", x[order], y[order], [each[order] for each in leaked])


def _classes(
    seed: int, rows: int, columns: int, classes: int, separation: float, rare: float
) -> tuple[Numbers, NDArray[np.int64]]:
    weights = [(1 - rare) / (classes - 1)] * (classes - 1) + [rare] if rare else None
    x, labels = make_classification(
        n_samples=rows,
        n_features=columns,
        n_informative=min(columns, 6),
        n_redundant=0,
        n_classes=classes,
        n_clusters_per_class=2,
        weights=weights,
        class_sep=separation,
        flip_y=0,
        random_state=seed,
    )
    return x, labels


def _curved(x: Numbers) -> Numbers:
    result: Numbers = np.sin(1.5 * x[:, 0] * x[:, 1]) + x[:, 2] ** 2 + x[:, 3] + 0.5 * np.abs(x[:, 1])
    return result


def _leaked(leak: str, y: NDArray[Any], rng: np.random.Generator) -> list[NDArray[Any]]:
    if leak == "column":
        return [y * 2 + 1]
    if leak == "noisy":
        return [y + 1e-3 * (y.std() or 1) * rng.normal(size=len(y))]
    if leak == "category":
        return [np.array([f"status {value}" for value in y])]
    return []


def _write(path: Path, x: Numbers, y: NDArray[Any], more: list[NDArray[Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"x{index}" for index in range(x.shape[1])), *(f"code{i}" for i in range(len(more))), "y"])
        is_class = np.issubdtype(y.dtype, np.integer)
        for index, row in enumerate(x):
            target = f"class {y[index]}" if is_class else f"{y[index]:.6g}"
            writer.writerow([*(f"{value:.6g}" for value in row), *(each[index] for each in more), target])


def texts(
    folder: Path,
    *,
    seed: int,
    rows: int = 500,
    length: int = 24,
    classes: int = 3,
    keywords: int = 12,
    late: bool = False,
) -> None:
    """Writes data.csv with the columns text and target: fillers, and a few keywords of the class, late or anywhere."""
    rng = random.Random(seed)
    fillers = [_word(rng, 3) for _ in range(60)]
    words = [[_word(rng, 4) for _ in range(keywords)] for _ in range(classes)]
    with (folder / "data.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "target"])
        for row in range(rows):
            label = row % classes
            # Zipf's law: the first fillers are frequent, each keyword is rare.
            text = [fillers[min(int(rng.expovariate(0.12)), 59)] for _ in range(length + rng.randint(-2, 2))]
            first = len(text) * 2 // 3 if late else 0
            for place in rng.sample(range(first, len(text)), 3):
                text[place] = rng.choice(words[label])
            writer.writerow([" ".join(text), f"topic {label}"])


def _word(rng: random.Random, syllables: int) -> str:
    return "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(syllables))


def images(folder: Path, *, seed: int, rows: int = 360, size: int = 20, dark: float = 0.0) -> None:
    """Writes train/ and test/ with PNG images of three fine textures; those of test are darker by `dark`."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    for row in range(rows):
        kind, phase = row % 3, rng.integers(0, 4)
        wave = [(x + phase) // 2 % 2, (y + phase) // 2 % 2, ((x + phase) // 2 + (y + phase) // 2) % 2][kind]
        values = 128 + rng.uniform(-30, 30) + rng.uniform(20, 50) * (2 * wave - 1) + 25 * rng.normal(size=(size, size))
        split = "test" if row >= 0.8 * rows else "train"
        if split == "test" and dark:
            values = 255 - values * (1 - dark) if dark > 1 else values * (1 - dark)
        target = folder / split / ("columns", "rows", "checks")[kind]
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(target / f"{row}.png")


def series(folder: Path, *, seed: int, rows: int = 600, period: int = 12, noise: float = 0.1) -> None:
    """Writes data.csv with the column value: a season whose height varies slowly, and noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(rows)
    height = 1 + 0.4 * np.sin(2 * np.pi * time / (period * 7.3))
    values = 10 + 3 * height * np.sin(2 * np.pi * time / period) + noise * rng.normal(size=rows)
    with (folder / "data.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["value"], *([f"{value:.5f}"] for value in values)])


def sequences(folder: Path, *, seed: int, rows: int = 400, length: int = 20, features: int = 3) -> None:
    """Writes data.npz: noisy waves of three frequencies, (N, T, F), and their class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % 3
    time = np.arange(length)[None, :, None]
    frequency = np.array([0.6, 1.0, 1.5])[labels][:, None, None]
    phase = rng.uniform(0, 2 * np.pi, (rows, 1, features))
    values = np.sin(frequency * time + phase) + 0.4 * rng.normal(size=(rows, length, features))
    np.savez(folder / "data.npz", x=values.astype(np.float32), y=labels)


MAKERS: dict[str, Callable[..., None]] = {
    "table": table,
    "texts": texts,
    "images": images,
    "series": series,
    "sequences": sequences,
}
