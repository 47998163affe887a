"""What is done to inputs and targets first: fitted on the train split alone, saved with the weights."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nnzoo.config.base import Count, Section


class Pca(Section):
    """Principal components: the directions of largest variance."""

    n_components: Count = Field(description="how many leading components are kept")
    whiten: bool = Field(False, description="scale each component to variance 1")


class Preprocess(Section):
    """Transforms of inputs and targets, in this order: normalize, then pca or zca."""

    normalize: Literal["auto", "none", "center", "standardize", "minmax"] = Field(
        "auto",
        description="by feature, or by channel of an image: minus the mean; and divided by the standard deviation; to "
        "[0, 1]. auto: standardize, but none for tokens and logic gates",
    )
    pca: Pca | None = Field(None, description="keep the leading components of the flattened inputs")
    zca: bool = Field(False, description="whiten in the inputs' own axes: covariance becomes the identity")
    scale_target: Literal["auto"] | bool = Field(
        "auto", description="standardize regression targets for training; results stay in their own unit"
    )
