"""Generated toy problems: logic gates, 2D points, a sine curve, the adding problem and random data of any shape.

Each uses its own generator, seeded by `seed`: the same arguments give the same tensors, independently of the global
generators. `noise` is the standard deviation of Gaussian noise, in the units of the noisy values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from nnzoo.data.dataset import Dataset, Split
from nnzoo.data.reader import Layout
from nnzoo.errors import DataError

_CORNERS = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))

GATES = {"xor": (0, 1, 1, 0), "and": (0, 0, 0, 1), "or": (0, 1, 1, 1), "nand": (1, 1, 1, 0)}
"""The outputs of each gate for the inputs 00, 01, 10 and 11."""

_SPIRAL_TURNS = 1.5
_SPIRAL_RADIUS = 3.0

_RANDOM_LAYOUTS: dict[int, Layout] = {1: "features", 2: "sequence", 3: "image"}


def load_gate(name: str, *, samples: int | None = None, noise: float = 0.0, seed: int = 0) -> Dataset:
    """Generates a logic gate of two inputs with the classes "0" and "1".

    Args:
        name: One of `GATES`.
        samples: The number of rows, which cycle through the four corners; None for only the four corners, which can't
            be split.
        noise: The standard deviation of noise on the inputs; needs `samples`.
        seed: Seed of the noise.

    Returns:
        (4, 2) or (samples, 2) features, (4,) or (samples,) class indices.

    Raises:
        DataError: The gate is unknown, there are fewer than four samples, or noise is negative or without samples.
    """
    if name not in GATES:
        raise DataError(f"unknown gate (got {name!r}; allowed {', '.join(GATES)}).")
    _check_noise(name, noise)
    if samples is None and noise > 0:
        raise DataError(f"noise needs samples (got noise {noise:g} without samples). Set samples.", where=name)
    num_samples = 4 if samples is None else samples
    _check_samples(name, num_samples, at_least=4)
    corner = torch.arange(num_samples) % 4
    inputs = torch.tensor(_CORNERS, dtype=torch.float32)[corner]
    train = Split(_add_noise(inputs, noise, _generator(seed)), torch.tensor(GATES[name])[corner])
    return Dataset(
        {"train": train},
        task="classification",
        layout="features",
        classes=("0", "1"),
        feature_names=("x1", "x2"),
        divisible=samples is not None,
    )


def load_moons(*, samples: int = 1000, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Generates two interleaving half circles of radius 1, like scikit-learn's `make_moons`.

    Returns:
        (samples, 2) features in random order, 2 classes of equal size (within one sample).

    Raises:
        DataError: There are fewer than two samples, or noise is negative.
    """
    sizes = _class_sizes("moons", samples, num_classes=2)
    outer, inner = (_circle(torch.linspace(0, math.pi, size, dtype=torch.float32)) for size in sizes)
    moons = (outer, torch.tensor((1.0, 0.5), dtype=torch.float32) - inner)
    return _load_points("moons", moons, noise, _generator(seed))


def load_circles(*, samples: int = 1000, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Generates a circle of radius 1 around one of radius 0.5, like scikit-learn's `make_circles` with `factor=0.5`.

    Returns:
        (samples, 2) features in random order, class 0 outside, class 1 inside, of equal size (within one sample).

    Raises:
        DataError: There are fewer than two samples, or noise is negative.
    """
    sizes = _class_sizes("circles", samples, num_classes=2)
    outer, inner = (_circle(torch.arange(size, dtype=torch.float32) * (2 * math.pi / size)) for size in sizes)
    return _load_points("circles", (outer, 0.5 * inner), noise, _generator(seed))


def load_spirals(*, samples: int = 1000, noise: float = 0.1, classes: int = 2, seed: int = 0) -> Dataset:
    """Generates one spiral arm per class. Each winds 1.5 times around the origin, out to radius 3.

    The distance between neighboring arms is 2 / classes.

    Returns:
        (samples, 2) features in random order, classes of equal size (within one sample).

    Raises:
        DataError: There are fewer than two classes or fewer samples than classes, or noise is negative.
    """
    arms = []
    for index, size in enumerate(_class_sizes("spirals", samples, num_classes=classes)):
        # From 1 / size and not from 0, where the arms of all classes would meet.
        position = torch.arange(1, size + 1, dtype=torch.float32) / size
        angle = 2 * math.pi * (index / classes + _SPIRAL_TURNS * position)
        arms.append(_SPIRAL_RADIUS * position.unsqueeze(1) * _circle(angle))
    return _load_points("spirals", arms, noise, _generator(seed))


def load_blobs(*, samples: int = 1000, noise: float = 1.0, classes: int = 3, seed: int = 0) -> Dataset:
    """Generates one Gaussian cluster per class, like scikit-learn's `make_blobs`.

    The centers are uniform in [-10, 10]^2, so clusters overlap for some seeds.

    Args:
        samples: The total number of samples.
        noise: The standard deviation of each cluster.
        classes: The number of clusters.
        seed: Seed of the centers and the clusters.

    Returns:
        (samples, 2) features in random order, classes of equal size (within one sample).

    Raises:
        DataError: There are fewer than two classes or fewer samples than classes, or noise is negative.
    """
    sizes = _class_sizes("blobs", samples, num_classes=classes)
    generator = _generator(seed)
    centres = torch.rand(classes, 2, generator=generator, dtype=torch.float32) * 20 - 10
    clusters = [centre.expand(size, 2) for centre, size in zip(centres, sizes, strict=True)]
    return _load_points("blobs", clusters, noise, generator)


def load_sine(*, samples: int = 1000, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Generates points of the curve y = sin(x), x uniform in [-pi, pi), with noise on y.

    Returns:
        (samples, 1) features, (samples, 1) regression targets.

    Raises:
        DataError: There are no samples, or noise is negative.
    """
    _check_samples("sine", samples, at_least=1)
    _check_noise("sine", noise)
    generator = _generator(seed)
    x = (torch.rand(samples, 1, generator=generator, dtype=torch.float32) * 2 - 1) * math.pi
    train = Split(x, _add_noise(x.sin(), noise, generator))
    return Dataset({"train": train}, task="regression", layout="features", feature_names=("x",), target_names=("y",))


def load_adding(*, samples: int = 10_000, length: int = 100, seed: int = 0) -> Dataset:
    """Generates the adding problem (Hochreiter & Schmidhuber 1997), in the form of Arjovsky et al. 2016.

    A step is a value, uniform in [0, 1), and a marker. The marker is 1 at one random step of the first half and at one
    of the second half, else 0. The target is the sum of the two marked values. It has mean 1 and variance 1/6.

    Differences from the 1997 version: its values were in [-1, 1], its target was 0.5 + sum / 4, its markers were in the
    first ten steps and in the rest of the first half, and its lengths varied.

    Args:
        samples: The number of sequences.
        length: T, the number of steps per sequence. If it is odd, the second half has one more step.
        seed: Seed of values and markers.

    Returns:
        (samples, length, 2) sequences, (samples, 1) regression targets.

    Raises:
        DataError: There are no samples, or fewer than two steps.
    """
    _check_samples("adding", samples, at_least=1)
    if length < 2:
        raise DataError(f"length is too small (got {length}; at least 2).", where="adding")
    generator = _generator(seed)
    inputs = torch.zeros(samples, length, 2)
    values, markers = inputs.unbind(dim=2)
    values.uniform_(generator=generator)
    half = length // 2
    first = torch.randint(half, (samples, 1), generator=generator)
    second = torch.randint(half, length, (samples, 1), generator=generator)
    marked = torch.cat((first, second), dim=1)
    markers.scatter_(1, marked, 1.0)
    train = Split(inputs, values.gather(1, marked).sum(dim=1, keepdim=True))
    return Dataset(
        {"train": train},
        task="regression",
        layout="sequence",
        feature_names=("value", "marker"),
        target_names=("sum",),
    )


def load_random(
    *,
    shape: Sequence[int],
    samples: int = 1000,
    classes: int | None = None,
    targets: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Generates standard normal inputs and targets that are independent of them, for summaries and timings.

    Args:
        shape: The shape of one sample: (F,) features, (T, F) sequence or (C, H, W) image.
        samples: The number of samples. If there are at least as many samples as classes, every class has a sample.
        classes: The number of classes; None for 2, or for regression if `targets` is given.
        targets: The number of standard normal targets, for regression.
        seed: Seed of inputs and targets.

    Returns:
        (samples, *shape) inputs; (samples,) class indices or (samples, targets) regression targets.

    Raises:
        DataError: `shape` does not have one to three positive sizes, there are no samples, fewer than two classes or
            no targets, or both `classes` and `targets` are given.
    """
    if len(shape) not in _RANDOM_LAYOUTS or min(shape) < 1:
        raise DataError(
            f"shape is not supported (got {list(shape)}; allowed (F,) for features, (T, F) for sequences, (C, H, W) "
            "for images, each size at least 1).",
            where="random",
        )
    _check_samples("random", samples, at_least=1)
    generator = _generator(seed)
    inputs = torch.randn(samples, *shape, generator=generator, dtype=torch.float32)
    layout = _RANDOM_LAYOUTS[len(shape)]
    if targets is None:
        num_classes = 2 if classes is None else classes
        _check_classes("random", num_classes)
        train = Split(inputs, torch.randperm(samples, generator=generator) % num_classes)
        return Dataset({"train": train}, task="classification", layout=layout, classes=_class_names(num_classes))
    if classes is not None or targets < 1:
        raise DataError(
            f"needs classes or at least one target (got classes {classes}, targets {targets}). Set one.",
            where="random",
        )
    train = Split(inputs, torch.randn(samples, targets, generator=generator, dtype=torch.float32))
    names = tuple(f"y{index}" for index in range(targets))
    return Dataset({"train": train}, task="regression", layout=layout, target_names=names)


def _load_points(name: str, points: Sequence[Tensor], noise: float, generator: Generator) -> Dataset:
    """Adds noise to the points and shuffles them. `points` has one (size, 2) tensor per class."""
    _check_noise(name, noise)
    labels = torch.cat([torch.full((len(each),), index) for index, each in enumerate(points)])
    inputs = _add_noise(torch.cat(list(points)), noise, generator)
    order = torch.randperm(len(labels), generator=generator)
    return Dataset(
        {"train": Split(inputs[order], labels[order])},
        task="classification",
        layout="features",
        classes=_class_names(len(points)),
        feature_names=("x1", "x2"),
    )


def _class_sizes(name: str, samples: int, *, num_classes: int) -> list[int]:
    _check_classes(name, num_classes)
    _check_samples(name, samples, at_least=num_classes)
    return [samples // num_classes + (index < samples % num_classes) for index in range(num_classes)]


def _circle(angle: Tensor) -> Tensor:
    """Returns the (N, 2) points of the unit circle at (N,) angles."""
    return torch.stack((angle.cos(), angle.sin()), dim=1)


def _generator(seed: int) -> Generator:
    return Generator().manual_seed(seed)


def _add_noise(values: Tensor, noise: float, generator: Generator) -> Tensor:
    return values + noise * torch.randn(values.shape, generator=generator, dtype=torch.float32)


def _class_names(num_classes: int) -> tuple[str, ...]:
    return tuple(str(index) for index in range(num_classes))


def _check_samples(name: str, samples: int, *, at_least: int) -> None:
    if samples < at_least:
        raise DataError(f"samples is too small (got {samples}; at least {at_least}).", where=name)


def _check_classes(name: str, num_classes: int) -> None:
    if num_classes < 2:
        raise DataError(f"classes is too small (got {num_classes}; at least 2).", where=name)


def _check_noise(name: str, noise: float) -> None:
    if not 0 <= noise < math.inf:
        raise DataError(f"noise is out of range (got {noise}; allowed 0 or a finite positive number).", where=name)
