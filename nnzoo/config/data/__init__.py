"""Data sources: where samples come from, and how they are divided. One file a family; the union is the registry."""

from typing import Annotated

from pydantic import Field

from nnzoo.config.base import ByName
from nnzoo.config.data.arrays import Arrays
from nnzoo.config.data.base import PATH_FIELDS, Files, Source, Split
from nnzoo.config.data.bundled import BreastCancer, Diabetes, Digits, Iris, Wine
from nnzoo.config.data.language import Language
from nnzoo.config.data.toy import Adding, Blobs, Circles, Gate, Moons, Random, Sine, Spirals
from nnzoo.config.data.trees import Trees

__all__ = ["PATH_FIELDS", "Arrays", "DataSection", "Files", "Gate", "Language", "Random", "Source", "Split"]

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
    | Arrays
    | Language
    | Trees,
    Field(discriminator="name"),
    ByName("a data source"),
]
