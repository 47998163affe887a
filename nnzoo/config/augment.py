"""Augmentations: random transforms of the training batches, with the names and fields of torchvision."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nnzoo.config.base import ByName, Count, Items, Natural, NonNegative, Positive, Real, Section
from nnzoo.config.facts import Facts
from nnzoo.config.preprocess import Preprocessing

Chance = Annotated[float, Field(ge=0, le=1)]
Fraction = Annotated[float, Field(gt=0, le=1)]
HueShift = Annotated[float, Field(ge=-0.5, le=0.5)]


class Augmentation(Section):
    """Base class of all augmentations. A list of two numbers is a range, except for `padding`."""

    name: str

    layouts: ClassVar[frozenset[str]] = frozenset({"image"})
    """The input layouts that the augmentation supports."""
    mixes_targets: ClassVar[bool] = False
    """Whether it turns class indices into probabilities."""


class HorizontalFlip(Augmentation):
    """Mirrors each image left to right with probability p."""

    name: Literal["horizontal_flip"]
    p: Chance = Field(0.5, description="probability per image")


class RandomCrop(Augmentation):
    """Pads each image and crops it at a random position to its original size."""

    name: Literal["random_crop"]
    padding: Count | Items[Natural] = Field(
        description="padding in pixels: one number for all sides, [left/right, top/bottom], or [left, top, right, "
        "bottom]"
    )
    fill: Real = Field(0.0, description="value of the padding with padding_mode: constant")
    padding_mode: Literal["constant", "edge", "reflect", "symmetric"] = Field(
        "constant",
        description="edge: repeat the last pixel; reflect: mirror without repeating it; symmetric: mirror and repeat "
        "it",
    )


class RandomResizedCrop(Augmentation):
    """Crops a random box of each image and resizes it bilinearly to the original size (Szegedy et al. 2015)."""

    name: Literal["random_resized_crop"]
    scale: Items[Fraction] = Field((0.08, 1.0), description="range of the area of the box, as a fraction of the image")
    ratio: Items[Positive] = Field((3 / 4, 4 / 3), description="range of the aspect ratio (width / height) of the box")


class Rotation(Augmentation):
    """Rotates each image about its center by a random angle."""

    name: Literal["rotation"]
    degrees: Positive | Items[Real] = Field(
        description="range of the angle, counter-clockwise; a number d means -d to d"
    )
    interpolation: Literal["nearest", "bilinear"] = Field("nearest", description="interpolation between pixels")
    fill: Real = Field(0.0, description="value of the area outside the rotated image")


class Erasing(Augmentation):
    """Erases a random box of each image with probability p (Zhong et al. 2020)."""

    name: Literal["erasing"]
    p: Chance = Field(0.5, description="probability per image")
    scale: Items[Fraction] = Field((0.02, 0.33), description="range of the area of the box, as a fraction of the image")
    ratio: Items[Positive] = Field((0.3, 3.3), description="range of the aspect ratio (height / width) of the box")
    value: Real | Literal["random"] = Field(0.0, description="value of the erased box; random: N(0, 1) per pixel")


class Mixup(Augmentation):
    """lam * x + (1 - lam) * x', and the same for targets, with lam ~ Beta(alpha, alpha) per batch (Zhang et al. 2018).

    x' is the sample before x in the shuffled batch.
    """

    layouts = frozenset({"features", "image"})
    mixes_targets = True

    name: Literal["mixup"]
    alpha: Positive = Field(1.0, description="1: lam is uniform; close to 0: samples are mixed little")


class Cutmix(Augmentation):
    """Pastes a random box of the previous image in the batch into each image (Yun et al. 2019).

    The box covers a fraction 1 - lam of the area, with lam ~ Beta(alpha, alpha) per batch. Targets are mixed by area.
    """

    mixes_targets = True

    name: Literal["cutmix"]
    alpha: Positive = Field(1.0, description="1: lam is uniform; close to 0: samples are mixed little")


class Noise(Augmentation):
    """Adds Gaussian noise: to images before `normalize`, while pixels are in [0, 1]; to other inputs after it."""

    layouts = frozenset({"features", "sequence", "image"})

    name: Literal["noise"]
    mean: Real = Field(0.0, description="mean of the noise")
    sigma: Positive = Field(0.1, description="standard deviation of the noise")
    clip: bool | None = Field(None, description="clip the result to [0, 1]; null: only if inputs are pixels")


class ColorJitter(Augmentation):
    """Changes brightness, contrast, saturation and hue of each image, in a random order per batch.

    A number x means factors from max(0, 1 - x) to 1 + x; for hue it means shifts from -x to x.
    """

    name: Literal["color_jitter"]
    brightness: NonNegative | Items[NonNegative] = Field(0.0, description="range of the brightness factor")
    contrast: NonNegative | Items[NonNegative] = Field(0.0, description="range of the contrast factor")
    saturation: NonNegative | Items[NonNegative] = Field(0.0, description="range of the saturation factor")
    hue: Annotated[float, Field(ge=0, le=0.5)] | Items[HueShift] = Field(
        0.0, description="range of the hue shift, as a fraction of the color wheel"
    )


AugmentSection = Annotated[
    HorizontalFlip | RandomCrop | RandomResizedCrop | Rotation | Erasing | Mixup | Cutmix | Noise | ColorJitter,
    Field(discriminator="name"),
    ByName("an augmentation"),
]


def are_pixels(preprocess: Preprocessing, facts: Facts) -> bool | None:
    """Returns whether augmentations, which run after pca and zca, get values in [0, 1]; None if not known yet."""
    return False if preprocess.pca or preprocess.zca else facts.pixels
