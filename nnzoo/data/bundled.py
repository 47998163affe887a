"""The small datasets that are bundled with scikit-learn, read from its files.

Importing `sklearn.datasets` takes more than a second, and reading the files takes a few milliseconds, so scikit-learn
is located but not imported. The values equal those of `sklearn.datasets.load_*`; gray values are float32.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nnzoo.data.dataset import Dataset, Split
from nnzoo.errors import DataError

_IRIS_FEATURES = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")

_WINE_FEATURES = (
    "alcohol",
    "malic_acid",
    "ash",
    "alcalinity_of_ash",
    "magnesium",
    "total_phenols",
    "flavanoids",
    "nonflavanoid_phenols",
    "proanthocyanins",
    "color_intensity",
    "hue",
    "od280/od315_of_diluted_wines",
    "proline",
)

_CELL_MEASUREMENTS = (
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave points",
    "symmetry",
    "fractal dimension",
)

_BREAST_CANCER_FEATURES = (
    *(f"mean {name}" for name in _CELL_MEASUREMENTS),
    *(f"{name} error" for name in _CELL_MEASUREMENTS),
    *(f"worst {name}" for name in _CELL_MEASUREMENTS),
)

_DIABETES_FEATURES = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")


def load_iris() -> Dataset:
    """Loads Fisher's iris flowers: (150, 4) features, 3 classes.

    Raises:
        DataError: scikit-learn is not installed, or its file is missing or has unexpected content.
    """
    return _load_classes("iris.csv", shape=(150, 4), feature_names=_IRIS_FEATURES)


def load_wine() -> Dataset:
    """Loads the chemical analyses of wines: (178, 13) features, 3 cultivars.

    Raises:
        DataError: scikit-learn is not installed, or its file is missing or has unexpected content.
    """
    return _load_classes("wine_data.csv", shape=(178, 13), feature_names=_WINE_FEATURES)


def load_breast_cancer() -> Dataset:
    """Loads Breast Cancer Wisconsin (Diagnostic): (569, 30) features, malignant (0) or benign (1).

    Raises:
        DataError: scikit-learn is not installed, or its file is missing or has unexpected content.
    """
    return _load_classes("breast_cancer.csv", shape=(569, 30), feature_names=_BREAST_CANCER_FEATURES)


def load_digits() -> Dataset:
    """Loads handwritten digits: (1797, 1, 8, 8) images with gray values from 0 to 16, 10 classes.

    Raises:
        DataError: scikit-learn is not installed, or its file is missing or has unexpected content.
    """
    table = _read_table(_find_file("digits.csv.gz"), shape=(1797, 65), delimiter=",")
    images = torch.tensor(table[:, :-1], dtype=torch.float32).reshape(-1, 1, 8, 8)
    labels = torch.tensor(table[:, -1], dtype=torch.int64)
    classes = tuple(str(digit) for digit in range(10))
    return Dataset({"train": Split(images, labels)}, task="classification", layout="image", classes=classes)


def load_diabetes() -> Dataset:
    """Loads the diabetes dataset: (442, 10) unscaled features and (442, 1) targets from 25 to 346.

    The target is the disease progression one year after baseline.

    Raises:
        DataError: scikit-learn is not installed, or one of its files is missing or has unexpected content.
    """
    inputs = _read_table(_find_file("diabetes_data_raw.csv.gz"), shape=(442, 10))
    targets = _read_table(_find_file("diabetes_target.csv.gz"), shape=(442, 1))
    train = Split(torch.tensor(inputs), torch.tensor(targets))
    return Dataset(
        {"train": train},
        task="regression",
        layout="features",
        feature_names=_DIABETES_FEATURES,
        target_names=("disease_progression",),
    )


def _load_classes(file_name: str, *, shape: tuple[int, int], feature_names: tuple[str, ...]) -> Dataset:
    """Reads a file whose header is `N,F,class,class,...` and whose rows are F values and a class index."""
    path = _find_file(file_name)
    num_samples, num_features = shape
    table = _read_table(path, shape=(num_samples, num_features + 1), delimiter=",", skiprows=1)
    with path.open(encoding="utf-8") as file:
        classes = tuple(file.readline().strip().split(",")[2:])
    train = Split(
        torch.tensor(table[:, :-1]),
        torch.tensor(table[:, -1], dtype=torch.int64),
    )
    return Dataset(
        {"train": train}, task="classification", layout="features", classes=classes, feature_names=feature_names
    )


def _find_file(file_name: str) -> Path:
    spec = importlib.util.find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise DataError("scikit-learn, which includes this dataset, is not installed. Install scikit-learn.")
    path = Path(spec.submodule_search_locations[0]) / "datasets" / "data" / file_name
    if not path.is_file():
        raise DataError(
            "the installed scikit-learn does not include this file. Install scikit-learn 1.5 or a later 1.x.",
            where=str(path),
        )
    return path


def _read_table(
    path: Path, *, shape: tuple[int, int], delimiter: str | None = None, skiprows: int = 0
) -> NDArray[np.float64]:
    try:
        table = np.loadtxt(path, delimiter=delimiter, skiprows=skiprows, ndmin=2)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"can't be read ({error}). Install scikit-learn again.", where=str(path)) from error
    if table.shape != shape:
        raise DataError(
            f"is not the file that scikit-learn ships (got shape {table.shape}; expected {shape}). "
            "Install scikit-learn again.",
            where=str(path),
        )
    return table
