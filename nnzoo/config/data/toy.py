"""Synthetic data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nnzoo.config.base import INTEGER, Count, Items, NonNegative, Seed
from nnzoo.config.data.base import Source
from nnzoo.config.facts import Facts, Layout, Task

Classes = Annotated[int, Field(ge=2, le=1_000_000), INTEGER]


class Gate(Source):
    """A logic gate with two inputs: its four rows without a split, or `samples` noisy copies of them with a split."""

    name: Literal["xor", "and", "or", "nand"]
    samples: Count | None = Field(None, description="number of noisy copies; null: the four rows")
    noise: NonNegative = Field(0.0, description="standard deviation of the noise on the inputs")
    seed: Seed = Field(0, description="random seed of the noise")

    def facts(self) -> Facts:
        parts = self._divided() if self.samples else {"has_val": False, "has_test": False}
        return Facts("classification", "features", 2, 0, (2,), normalize="none", **parts)


class Moons(Source):
    """Two interleaved half circles."""

    name: Literal["moons"]
    samples: Count = Field(1000, description="number of points")
    noise: NonNegative = Field(0.1, description="standard deviation of the noise on the inputs")
    seed: Seed = Field(0, description="random seed of the points")

    def facts(self) -> Facts:
        return Facts("classification", "features", 2, 0, (2,), **self._divided())


class Circles(Source):
    """A small circle inside a larger one."""

    name: Literal["circles"]
    samples: Count = Field(1000, description="number of points")
    noise: NonNegative = Field(0.1, description="standard deviation of the noise on the inputs")
    seed: Seed = Field(0, description="random seed of the points")

    def facts(self) -> Facts:
        return Facts("classification", "features", 2, 0, (2,), **self._divided())


class Spirals(Source):
    """Interleaved spirals, one per class."""

    name: Literal["spirals"]
    samples: Count = Field(1000, description="number of points")
    noise: NonNegative = Field(0.1, description="standard deviation of the noise on the inputs")
    classes: Classes = Field(2, description="number of spirals; each is a class")
    seed: Seed = Field(0, description="random seed of the points")

    def facts(self) -> Facts:
        return Facts("classification", "features", self.classes, 0, (2,), **self._divided())


class Blobs(Source):
    """Isotropic Gaussian blobs, one per class."""

    name: Literal["blobs"]
    samples: Count = Field(1000, description="number of points")
    noise: NonNegative = Field(1.0, description="standard deviation of each blob")
    classes: Classes = Field(3, description="number of blobs; each is a class")
    seed: Seed = Field(0, description="random seed of the points")

    def facts(self) -> Facts:
        return Facts("classification", "features", self.classes, 0, (2,), **self._divided())


class Sine(Source):
    """Regression: y = sin(x) + noise."""

    name: Literal["sine"]
    samples: Count = Field(1000, description="number of points")
    noise: NonNegative = Field(0.1, description="standard deviation of the noise on y")
    seed: Seed = Field(0, description="random seed of the points")

    def facts(self) -> Facts:
        return Facts("regression", "features", 0, 1, (1,), **self._divided())


class Adding(Source):
    """The adding problem (Hochreiter & Schmidhuber 1997): the sum of the two marked values of a sequence.

    A step has a value in [0, 1] and a marker, which is 1 at one step of each half and 0 elsewhere (Arjovsky et al.
    2016). Always predicting 1 has a mean squared error of 1/6.
    """

    name: Literal["adding"]
    samples: Count = Field(10_000, description="number of sequences")
    length: Annotated[int, Field(ge=2, le=1_000_000), INTEGER] = Field(100, description="number of steps per sequence")
    seed: Seed = Field(0, description="random seed of values and markers")

    def facts(self) -> Facts:
        return Facts("regression", "sequence", 0, 1, (self.length, 2), normalize="none", **self._divided())


class Random(Source):
    """Random data of any shape, with targets independent of the inputs, for summaries and timings."""

    name: Literal["random"]
    shape: Items[Count] = Field(description="shape of one sample: [F] features, [T, F] a sequence, [C, H, W] an image")
    samples: Count = Field(1000, description="number of samples")
    classes: Classes | None = Field(None, description="number of classes; null: 2, unless `targets` is given")
    targets: Count | None = Field(None, description="number of regression targets, instead of classes")
    seed: Seed = Field(0, description="random seed of the data")

    def facts(self) -> Facts:
        layouts: dict[int, Layout] = {1: "features", 2: "sequence", 3: "image"}
        task: Task = "regression" if self.targets else "classification"
        classes = 0 if self.targets else self.classes or 2
        return Facts(
            task,
            layouts.get(len(self.shape)),
            classes,
            self.targets or 0,
            self.shape,
            choices={} if self.targets else {"classes": classes},
            **self._divided(),
        )
