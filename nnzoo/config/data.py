"""Data sources: where samples come from, and how they are divided."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, Literal

from pydantic import Field

from nnzoo.config.base import WHOLE, ByName, Count, Items, NonNegative, Probability, Section, Seed
from nnzoo.config.facts import Facts, Layout, Task

PATH_FIELDS = ("path", "val_path", "test_path")
"""Fields of sources that name files: relative to the config's folder, absolute in a run, a bare name in an artifact."""

FilePath = Annotated[str, Field(min_length=1)]
Classes = Annotated[int, Field(ge=2, le=1_000_000), WHOLE]


class Split(Section):
    """How samples without a split of their own are divided. Shares are of the given train samples."""

    val: Probability = Field(0.15, description="share held out to choose the best weights; 0: none")
    test: Probability = Field(0.15, description="share held out for the final measurement; 0: none")
    stratify: bool = Field(True, description="every class in proportion, where there are classes")
    seed: Seed = Field(0, description="of the division alone; the run's own seed does not touch it")


class Source(Section):
    """What every source has."""

    split: Split = Field(Split(), description="how the samples are divided")

    @abstractmethod
    def facts(self) -> Facts:
        """What the words alone tell of the data."""

    def _divided(self) -> dict[str, Any]:
        return {"has_val": self.split.val > 0, "has_test": self.split.test > 0}


class Gate(Source):
    """A logic gate of two inputs: its four rows, not divided; with `samples`, that many noisy copies, divided."""

    name: Literal["xor", "and", "or", "nand"]
    samples: Count | None = Field(None, description="null: the four rows themselves")
    noise: NonNegative = Field(0.0, description="standard deviation of what is added to the inputs")
    seed: Seed = Field(0, description="of the noise")

    def facts(self) -> Facts:
        parts = self._divided() if self.samples else {"has_val": False, "has_test": False}
        return Facts("classification", "features", 2, 0, (2,), normalize="none", **parts)


class Moons(Source):
    """Two interleaved half circles."""

    name: Literal["moons"]
    samples: Count = Field(1000, description="number of points")
    noise: NonNegative = Field(0.1, description="standard deviation of what is added to the inputs")
    seed: Seed = Field(0, description="of the points")

    def facts(self) -> Facts:
        return Facts("classification", "features", 2, 0, (2,), **self._divided())


class Circles(Source):
    """A circle inside another one."""

    name: Literal["circles"]
    samples: Count = Field(1000, description="number of points")
    noise: NonNegative = Field(0.1, description="standard deviation of what is added to the inputs")
    seed: Seed = Field(0, description="of the points")

    def facts(self) -> Facts:
        return Facts("classification", "features", 2, 0, (2,), **self._divided())


class Spirals(Source):
    """Interleaved spirals, one a class."""

    name: Literal["spirals"]
    samples: Count = Field(1000, description="number of points")
    noise: NonNegative = Field(0.1, description="standard deviation of what is added to the inputs")
    classes: Classes = Field(2, description="number of arms")
    seed: Seed = Field(0, description="of the points")

    def facts(self) -> Facts:
        return Facts("classification", "features", self.classes, 0, (2,), **self._divided())


class Blobs(Source):
    """Round clouds of points, one a class."""

    name: Literal["blobs"]
    samples: Count = Field(1000, description="number of points")
    noise: NonNegative = Field(1.0, description="standard deviation of a cloud")
    classes: Classes = Field(3, description="number of clouds")
    seed: Seed = Field(0, description="of the points")

    def facts(self) -> Facts:
        return Facts("classification", "features", self.classes, 0, (2,), **self._divided())


class Sine(Source):
    """Regression of y = sin(x) + noise."""

    name: Literal["sine"]
    samples: Count = Field(1000, description="number of points")
    noise: NonNegative = Field(0.1, description="standard deviation of what is added to y")
    seed: Seed = Field(0, description="of the points")

    def facts(self) -> Facts:
        return Facts("regression", "features", 0, 1, (1,), **self._divided())


class Random(Source):
    """Synthetic data of any size, for summaries and timings: there is nothing to learn in it."""

    name: Literal["random"]
    shape: Items[Count] = Field(description="of one sample: [F] features, [T, F] a sequence, [C, H, W] an image")
    samples: Count = Field(1000, description="number of samples")
    classes: Classes | None = Field(None, description="number of classes; null: 2 unless `targets` is given")
    targets: Count | None = Field(None, description="number of regression targets, in place of classes")
    seed: Seed = Field(0, description="of the numbers")

    def facts(self) -> Facts:
        layouts: dict[int, Layout] = {1: "features", 2: "sequence", 3: "image"}
        task: Task = "regression" if self.targets else "classification"
        classes = 0 if self.targets else self.classes or 2
        return Facts(task, layouts.get(len(self.shape)), classes, self.targets or 0, self.shape, **self._divided())


class Digits(Source):
    """1,797 handwritten digits of 8x8 grey pixels, bundled with scikit-learn (Alpaydin & Kaynak 1998)."""

    name: Literal["digits"]

    def facts(self) -> Facts:
        return Facts("classification", "image", 10, 0, (1, 8, 8), **self._divided())


class Iris(Source):
    """150 flowers of three species by four lengths, bundled with scikit-learn (Fisher 1936)."""

    name: Literal["iris"]

    def facts(self) -> Facts:
        return Facts("classification", "features", 3, 0, (4,), **self._divided())


class Wine(Source):
    """178 wines of three growers by 13 measurements, bundled with scikit-learn (Aeberhard & Forina 1992)."""

    name: Literal["wine"]

    def facts(self) -> Facts:
        return Facts("classification", "features", 3, 0, (13,), **self._divided())


class BreastCancer(Source):
    """569 tumours, malignant or benign, by 30 measurements, bundled with scikit-learn (Wolberg et al. 1995)."""

    name: Literal["breast_cancer"]

    def facts(self) -> Facts:
        return Facts("classification", "features", 2, 0, (30,), **self._divided())


class Diabetes(Source):
    """Disease progression of 442 patients from ten measurements, bundled with scikit-learn (Efron et al. 2004)."""

    name: Literal["diabetes"]

    def facts(self) -> Facts:
        return Facts("regression", "features", 0, 1, (10,), scale_target=True, **self._divided())


class Arrays(Source):
    """Your own arrays: an .npz or a folder of .npy, with `x` and `y`; also `x_val`, `y_val`, `x_test`, `y_test`."""

    name: Literal["arrays"]
    path: FilePath = Field(description="an .npz file, or a folder of .npy files (read memory-mapped)")
    val_path: FilePath | None = Field(None, description="file or folder whose x and y are the val split")
    test_path: FilePath | None = Field(None, description="file or folder whose x and y are the test split")
    task: Literal["auto", "classification", "multilabel", "regression"] = Field(
        "auto", description="auto: integer or text y are classes, float y is regression"
    )
    layout: Literal["auto", "features", "sequence", "image", "tokens"] = Field(
        "auto", description="(N, F), (N, T, F), (N, C, H, W), integer (N, T); auto: by the number of axes"
    )
    limit: Count | None = Field(None, description="take the first N samples of each split")

    def facts(self) -> Facts:
        return Facts(
            task=None if self.task == "auto" else self.task,
            layout=None if self.layout == "auto" else self.layout,
            num_targets=0 if self.task in ("classification", "multilabel") else None,
            has_val=True if self.val_path else None,
            has_test=True if self.test_path else None,
            normalize="none" if self.layout == "tokens" else "standardize",
        )


DataSection = Annotated[
    Gate | Moons | Circles | Spirals | Blobs | Sine | Random | Digits | Iris | Wine | BreastCancer | Diabetes | Arrays,
    Field(discriminator="name"),
    ByName("a data source"),
]
