"""Preprocessing of inputs and targets, fitted on the train split only and saved with the weights."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nnzoo.config.base import Count, Section


class Pca(Section):
    """Principal component analysis: projects inputs onto the directions of largest variance."""

    n_components: Count = Field(description="number of components to keep")
    whiten: bool = Field(False, description="scale each component to unit variance")


class Preprocessing(Section):
    """Transforms of inputs and targets: first normalize, then pca or zca."""

    normalize: Literal["auto", "none", "center", "standardize", "minmax", "robust", "quantile", "pretrained"] = Field(
        "auto",
        description="normalization per feature or image channel. center: subtract the mean; standardize: subtract "
        "the mean and divide by the standard deviation; minmax: scale to [0, 1]; robust: subtract the median, divide "
        "by the distance between the quartiles, and clip smoothly at 3 (RealMLP, Holzmueller et al. 2024); quantile: "
        "map each column to a normal distribution (Gorishniy et al. 2021); pretrained: the "
        "fitted values of `model.pretrained`, also for pca and zca, or those of torchvision's `model.weights`; auto: "
        "standardize, or none for tokens and logic gates. Categories, booleans and indicators of missing values stay "
        "0 and 1",
    )
    pca: Pca | None = Field(None, description="principal component analysis of the flattened inputs")
    zca: bool = Field(
        False, description="ZCA whitening: the covariance becomes the identity, without rotating the axes"
    )
    scale_target: Literal["auto"] | bool = Field(
        "auto",
        description="standardize regression targets for training; metrics and predictions stay in the original unit; "
        "auto: true for csv and series",
    )
