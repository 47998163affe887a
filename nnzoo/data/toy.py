"""Problems made by formula: logic gates, points in the plane, a curve, sums to remember, random data of any size.

Each comes from one generator seeded by `seed`: the same arguments give the same tensors, whatever the state of the
global generators. `noise` is the standard deviation of Gaussian noise, in the units of what it is added to.
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
    """A logic gate of two inputs, classes "0" and "1".

    Args:
        name: One of `GATES`.
        samples: None for the four rows, which can't be divided into splits; else that many rows, which go through
            the four corners again and again.
        noise: Added to the inputs; needs `samples`.
        seed: Of the noise.

    Returns:
        (4, 2) or (samples, 2) features, (4,) or (samples,) class indices.

    Raises:
        DataError: Unknown gate, fewer than four samples, negative noise, or noise without samples.
    """
    if name not in GATES:
        raise DataError(f"unknown gate (got {name!r}; allowed {', '.join(GATES)}).")
    _check_noise(name, noise)
    if samples is None and noise > 0:
        raise DataError(f"noise needs samples (got noise {noise:g} on the four exact rows). Set samples.", where=name)
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
    """Two half circles of radius 1 that reach into each other, as scikit-learn's `make_moons`.

    Returns:
        (samples, 2) features in random order, 2 classes of equal size (give or take one).

    Raises:
        DataError: Fewer than two samples, or negative noise.
    """
    sizes = _class_sizes("moons", samples, num_classes=2)
    outer, inner = (_circle(torch.linspace(0, math.pi, size, dtype=torch.float32)) for size in sizes)
    moons = (outer, torch.tensor((1.0, 0.5), dtype=torch.float32) - inner)
    return _load_points("moons", moons, noise, _generator(seed))


def load_circles(*, samples: int = 1000, noise: float = 0.1, seed: int = 0) -> Dataset:
    """A circle of radius 1 around one of radius 0.5, as scikit-learn's `make_circles` with `factor=0.5`.

    Returns:
        (samples, 2) features in random order, class 0 outside, class 1 inside, of equal size (give or take one).

    Raises:
        DataError: Fewer than two samples, or negative noise.
    """
    sizes = _class_sizes("circles", samples, num_classes=2)
    outer, inner = (_circle(torch.arange(size, dtype=torch.float32) * (2 * math.pi / size)) for size in sizes)
    return _load_points("circles", (outer, 0.5 * inner), noise, _generator(seed))


def load_spirals(*, samples: int = 1000, noise: float = 0.1, classes: int = 2, seed: int = 0) -> Dataset:
    """Arms that wind one and a half times around the origin, out to radius 3, one a class.

    Neighbouring arms are 2 / classes apart.

    Returns:
        (samples, 2) features in random order, classes of equal size (give or take one).

    Raises:
        DataError: Fewer than two classes, fewer samples than classes, or negative noise.
    """
    arms = []
    for index, size in enumerate(_class_sizes("spirals", samples, num_classes=classes)):
        # From 1 / size and not from 0, where all arms would meet in one point of every class.
        way = torch.arange(1, size + 1, dtype=torch.float32) / size
        angle = 2 * math.pi * (index / classes + _SPIRAL_TURNS * way)
        arms.append(_SPIRAL_RADIUS * way.unsqueeze(1) * _circle(angle))
    return _load_points("spirals", arms, noise, _generator(seed))


def load_blobs(*, samples: int = 1000, noise: float = 1.0, classes: int = 3, seed: int = 0) -> Dataset:
    """A Gaussian cloud a class, as scikit-learn's `make_blobs`.

    The centres are uniform in [-10, 10]^2, so that some seeds give clouds that overlap.

    Args:
        samples: Over all classes.
        noise: The standard deviation of each cloud.
        classes: The number of clouds.
        seed: Of the centres and the clouds.

    Returns:
        (samples, 2) features in random order, classes of equal size (give or take one).

    Raises:
        DataError: Fewer than two classes, fewer samples than classes, or negative noise.
    """
    sizes = _class_sizes("blobs", samples, num_classes=classes)
    generator = _generator(seed)
    centres = torch.rand(classes, 2, generator=generator, dtype=torch.float32) * 20 - 10
    clouds = [centre.expand(size, 2) for centre, size in zip(centres, sizes, strict=True)]
    return _load_points("blobs", clouds, noise, generator)


def load_sine(*, samples: int = 1000, noise: float = 0.1, seed: int = 0) -> Dataset:
    """The curve y = sin(x), x uniform in [-pi, pi), with noise on y.

    Returns:
        (samples, 1) features, (samples, 1) regression targets.

    Raises:
        DataError: No samples, or negative noise.
    """
    _check_samples("sine", samples, at_least=1)
    _check_noise("sine", noise)
    generator = _generator(seed)
    x = (torch.rand(samples, 1, generator=generator, dtype=torch.float32) * 2 - 1) * math.pi
    train = Split(x, _add_noise(x.sin(), noise, generator))
    return Dataset({"train": train}, task="regression", layout="features", feature_names=("x",), target_names=("y",))


def load_adding(*, samples: int = 10_000, length: int = 100, seed: int = 0) -> Dataset:
    """The adding problem (Hochreiter & Schmidhuber 1997), in the form of Arjovsky et al. 2016.

    A step is a value, uniform in [0, 1), and a marker: 1 at one step of the first half and at one of the second, each
    drawn evenly, and else 0. The target is the sum of the two marked values, of mean 1 and variance 1/6.

    Deviations from 1997: values were in [-1, 1], the target was 0.5 + sum / 4, markers lay in the first ten steps and
    in the rest of the first half, and lengths varied.

    Args:
        samples: The number of sequences.
        length: T, the steps of each; of an odd number the second half has one more.
        seed: Of values and markers.

    Returns:
        (samples, length, 2) sequences, (samples, 1) regression targets.

    Raises:
        DataError: No samples, or less than two steps.
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
    """Standard normal inputs whose targets have nothing to do with them, for summaries and timings.

    Args:
        shape: Of one sample: (F,) features, (T, F) a sequence, or (C, H, W) an image.
        samples: The number of samples; with as many as classes or more, every class is present.
        classes: The number of classes; None for 2, or for regression if `targets` is given.
        targets: The number of standard normal targets, in place of classes.
        seed: Of inputs and targets.

    Returns:
        (samples, *shape) inputs; (samples,) class indices or (samples, targets) regression targets.

    Raises:
        DataError: A shape of other than one to three positive sizes, no samples, fewer than two classes, no targets,
            or both `classes` and `targets`.
    """
    if len(shape) not in _RANDOM_LAYOUTS or min(shape) < 1:
        raise DataError(
            f"shape can't be used (got {list(shape)}; allowed one size for features, two for a sequence (T, F), three "
            "for an image (C, H, W), each at least 1).",
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
            f"takes classes or at least one target (got classes {classes}, targets {targets}). Set one of them.",
            where="random",
        )
    train = Split(inputs, torch.randn(samples, targets, generator=generator, dtype=torch.float32))
    names = tuple(f"y{index}" for index in range(targets))
    return Dataset({"train": train}, task="regression", layout=layout, target_names=names)


def _load_points(name: str, places: Sequence[Tensor], noise: float, generator: Generator) -> Dataset:
    """Put the noisy points of all classes into one random order; `places` has a (size, 2) tensor a class."""
    _check_noise(name, noise)
    labels = torch.cat([torch.full((len(place),), index) for index, place in enumerate(places)])
    inputs = _add_noise(torch.cat(list(places)), noise, generator)
    order = torch.randperm(len(labels), generator=generator)
    return Dataset(
        {"train": Split(inputs[order], labels[order])},
        task="classification",
        layout="features",
        classes=_class_names(len(places)),
        feature_names=("x1", "x2"),
    )


def _class_sizes(name: str, samples: int, *, num_classes: int) -> list[int]:
    _check_classes(name, num_classes)
    _check_samples(name, samples, at_least=num_classes)
    return [samples // num_classes + (index < samples % num_classes) for index in range(num_classes)]


def _circle(angle: Tensor) -> Tensor:
    """(N,) angles to (N, 2) points at radius 1."""
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
        raise DataError(f"noise can't be used (got {noise}; allowed 0 or a finite positive number).", where=name)
