"""Augmentation: what is changed at random in the batches of training. torchvision's names and fields."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nnzoo.config.base import ByName, Count, Items, Natural, NonNegative, Positive, Real, Section
from nnzoo.config.facts import Facts
from nnzoo.config.preprocess import Preprocess

Chance = Annotated[float, Field(ge=0, le=1)]


Share = Annotated[float, Field(gt=0, le=1)]
Turn = Annotated[float, Field(ge=-0.5, le=0.5)]


class Augmentation(Section):
    """What every augmentation has, and what is known of it without any data. Lists are ranges, but for `padding`."""

    name: str

    layouts: ClassVar[frozenset[str]] = frozenset({"image"})
    """The layouts that it can change."""
    mixes_targets: ClassVar[bool] = False
    """Whether it makes class indices probabilities."""


class HorizontalFlip(Augmentation):
    """Mirrors each image left to right with probability p."""

    name: Literal["horizontal_flip"]
    p: Chance = Field(0.5, description="of each image")


class RandomCrop(Augmentation):
    """Pads each image and cuts a place of its old size out of it, its own for each: the image is moved."""

    name: Literal["random_crop"]
    padding: Count | Items[Natural] = Field(
        description="pixels: on every side; [left and right, top and bottom]; or [left, top, right, bottom]"
    )
    fill: Real = Field(0.0, description="value of the border, with padding_mode constant")
    padding_mode: Literal["constant", "edge", "reflect", "symmetric"] = Field(
        "constant", description="edge: the last pixel; reflect, symmetric: mirrored without it, with it"
    )


class RandomResizedCrop(Augmentation):
    """Cuts a random box out of each image and resizes it bilinearly to the image's size (Szegedy et al. 2015)."""

    name: Literal["random_resized_crop"]
    scale: Items[Share] = Field((0.08, 1.0), description="the box's share of the area, from and to")
    ratio: Items[Positive] = Field((3 / 4, 4 / 3), description="its width over its height, from and to")


class Rotation(Augmentation):
    """Turns each image about its centre, by an angle of its own."""

    name: Literal["rotation"]
    degrees: Positive | Items[Real] = Field(description="from and to, counter-clockwise; one number d: from -d to d")
    interpolation: Literal["nearest", "bilinear"] = Field("nearest", description="between pixels")
    fill: Real = Field(0.0, description="value of what comes in from outside")


class Erasing(Augmentation):
    """Fills a random box of each image with probability p (Zhong et al. 2020)."""

    name: Literal["erasing"]
    p: Chance = Field(0.5, description="of each image")
    scale: Items[Share] = Field((0.02, 0.33), description="the box's share of the area, from and to")
    ratio: Items[Positive] = Field((0.3, 3.3), description="its height over its width, from and to")
    value: Real | Literal["random"] = Field(0.0, description="what it is filled with; random: N(0, 1) a pixel")


class Mixup(Augmentation):
    """lam * x + (1 - lam) * x', targets alike, lam ~ Beta(alpha, alpha) once a batch (Zhang et al. 2018).

    x' is the sample before x in the shuffled batch.
    """

    layouts = frozenset({"features", "image"})
    mixes_targets = True

    name: Literal["mixup"]
    alpha: Positive = Field(1.0, description="1: every share is as likely; near 0: hardly mixed")


class Cutmix(Augmentation):
    """Puts a random box of the image before it in the batch into each image (Yun et al. 2019).

    The box has a share 1 - lam of the area, lam ~ Beta(alpha, alpha) once a batch; targets are mixed by the area.
    """

    mixes_targets = True

    name: Literal["cutmix"]
    alpha: Positive = Field(1.0, description="1: every share is as likely; near 0: hardly mixed")


class Noise(Augmentation):
    """Adds N(mean, sigma^2) to every number: of images before `normalize`, where pixels are 0 to 1; of others after."""

    layouts = frozenset({"features", "sequence", "image"})

    name: Literal["noise"]
    mean: Real = Field(0.0, description="of the noise")
    sigma: Positive = Field(0.1, description="its standard deviation")
    clip: bool | None = Field(None, description="keep the sum within [0, 1]; null: that of pixels")


class ColorJitter(Augmentation):
    """Changes brightness, contrast, saturation and hue of each image, in an order drawn for each batch.

    A number x stands for factors from max(0, 1 - x) to 1 + x, of hue for turns from -x to x.
    """

    name: Literal["color_jitter"]
    brightness: NonNegative | Items[NonNegative] = Field(0.0, description="factor of every value")
    contrast: NonNegative | Items[NonNegative] = Field(0.0, description="factor of the distance from the mean grey")
    saturation: NonNegative | Items[NonNegative] = Field(
        0.0, description="factor of the distance from each pixel's grey"
    )
    hue: Annotated[float, Field(ge=0, le=0.5)] | Items[Turn] = Field(0.0, description="turns of the colour wheel")


AugmentSection = Annotated[
    HorizontalFlip | RandomCrop | RandomResizedCrop | Rotation | Erasing | Mixup | Cutmix | Noise | ColorJitter,
    Field(discriminator="name"),
    ByName("an augmentation"),
]


def are_pixels(preprocess: Preprocess, facts: Facts) -> bool | None:
    """Whether augmentation sees values in [0, 1]; None while that is not known. It comes after pca and zca alone."""
    return False if preprocess.pca or preprocess.zca else facts.pixels
