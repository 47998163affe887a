"""Datasets that are bundled with scikit-learn."""

from __future__ import annotations

from typing import Literal

from nnzoo.config.data.base import Source
from nnzoo.config.facts import Facts


class Digits(Source):
    """1,797 handwritten digits of 8x8 grayscale pixels, bundled with scikit-learn (Alpaydin & Kaynak 1998)."""

    name: Literal["digits"]

    def facts(self) -> Facts:
        return Facts("classification", "image", 10, 0, (1, 8, 8), **self._divided())


class Iris(Source):
    """150 iris flowers of three species, four measurements each, bundled with scikit-learn (Fisher 1936)."""

    name: Literal["iris"]

    def facts(self) -> Facts:
        return Facts("classification", "features", 3, 0, (4,), **self._divided())


class Wine(Source):
    """178 wines from three cultivars, 13 measurements each, bundled with scikit-learn (Aeberhard & Forina 1992)."""

    name: Literal["wine"]

    def facts(self) -> Facts:
        return Facts("classification", "features", 3, 0, (13,), **self._divided())


class BreastCancer(Source):
    """569 tumors, malignant or benign, 30 measurements each, bundled with scikit-learn (Wolberg et al. 1995)."""

    name: Literal["breast_cancer"]

    def facts(self) -> Facts:
        return Facts("classification", "features", 2, 0, (30,), **self._divided())


class Diabetes(Source):
    """Disease progression of 442 patients, ten measurements each, bundled with scikit-learn (Efron et al. 2004)."""

    name: Literal["diabetes"]

    def facts(self) -> Facts:
        return Facts("regression", "features", 0, 1, (10,), scale_target=True, **self._divided())
