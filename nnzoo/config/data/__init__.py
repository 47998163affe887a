"""Data sources and their splits. One file per family; the union lists them all."""

from typing import Annotated

from pydantic import Field

from nnzoo.config.base import ByName
from nnzoo.config.data.arrays import Arrays
from nnzoo.config.data.base import PATH_FIELDS, Files, Fold, Source, Split
from nnzoo.config.data.bundled import BreastCancer, Diabetes, Digits, Iris, Wine
from nnzoo.config.data.delimited import CellFormats, Delimited, FormattedFiles, TableCells
from nnzoo.config.data.images import Cifar10, Cifar100, FashionMnist, ImageFolder, Kmnist, Mnist, Svhn, TorchvisionSet
from nnzoo.config.data.language import Language
from nnzoo.config.data.memory import Frame, Memory, PythonSource
from nnzoo.config.data.series import Series
from nnzoo.config.data.tables import Csv, TableSource
from nnzoo.config.data.text import Text
from nnzoo.config.data.toy import Adding, Blobs, Circles, Gate, Generated, Moons, Random, Sine, Spirals
from nnzoo.config.data.trees import Trees

__all__ = [
    "PATH_FIELDS",
    "Arrays",
    "CellFormats",
    "Csv",
    "DataSection",
    "Delimited",
    "Files",
    "Fold",
    "FormattedFiles",
    "Frame",
    "Gate",
    "Generated",
    "ImageFolder",
    "Language",
    "Memory",
    "PythonSource",
    "Random",
    "Series",
    "Source",
    "Split",
    "TableCells",
    "TableSource",
    "Text",
    "TorchvisionSet",
]

DataSection = Annotated[
    Gate
    | Moons
    | Circles
    | Spirals
    | Blobs
    | Sine
    | Adding
    | Random
    | Digits
    | Iris
    | Wine
    | BreastCancer
    | Diabetes
    | Mnist
    | FashionMnist
    | Kmnist
    | Cifar10
    | Cifar100
    | Svhn
    | Arrays
    | Csv
    | ImageFolder
    | Text
    | Language
    | Series
    | Trees
    | Memory
    | Frame,
    Field(discriminator="name"),
    ByName("a data source"),
]
