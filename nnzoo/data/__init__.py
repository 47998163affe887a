"""From a source to tensors that a network can take.

The seam: a source returns tensors, splits, names. Whatever a file format, a download or a formula has to say is in the
`Dataset` it returns, and nothing behind the seam knows where the data came from.

Data walks in one direction:

    source -> divide -> Preprocess.fit on train -> Preprocess.transform -> the training loop

A source is a plain function with keyword arguments. `divide` gives it the splits that it does not bring itself.
`Preprocess` is fitted on the training samples alone and saved with the weights. Every problem with the data is a
`DataError`.
"""

from nnzoo.data.arrays import load_arrays, load_arrays_split
from nnzoo.data.baseline import baseline
from nnzoo.data.bundled import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from nnzoo.data.dataset import Dataset, Layout, Split, Task
from nnzoo.data.preprocess import Normalize, Preprocess
from nnzoo.data.split import divide, missing_classes
from nnzoo.data.toy import (
    GATES,
    load_blobs,
    load_circles,
    load_gate,
    load_moons,
    load_random,
    load_sine,
    load_spirals,
)

__all__ = [
    "GATES",
    "Dataset",
    "Layout",
    "Normalize",
    "Preprocess",
    "Split",
    "Task",
    "baseline",
    "divide",
    "load_arrays",
    "load_arrays_split",
    "load_blobs",
    "load_breast_cancer",
    "load_circles",
    "load_diabetes",
    "load_digits",
    "load_gate",
    "load_iris",
    "load_moons",
    "load_random",
    "load_sine",
    "load_spirals",
    "load_wine",
    "missing_classes",
]
