"""Networks for images, as in their papers."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from nnzoo.config.base import Probability
from nnzoo.config.model.base import Model


class ImageNet(Model):
    """What every network for images has."""

    layouts = frozenset({"image"})
    smallest: ClassVar[int] = 1
    """Height and width that it needs at least."""


class LeNet5(ImageNet):
    """LeNet-5 (LeCun et al. 1998): images below 32 x 32 are padded to that size.

    Deviations: every filter of C3 reads all maps; means have no coefficients; the output is linear. 61,706 parameters
    for 28 x 28 grey images of ten classes.
    """

    name: Literal["lenet5"]


class AlexNet(ImageNet):
    """AlexNet on one tower (Krizhevsky 2014), as in torchvision; images of at least 63 x 63.

    Deviations from Krizhevsky et al. 2012: one tower, no local response normalisation; `init: auto` is Kaiming's in
    place of N(0, 0.01^2). 61,100,840 parameters for 1000 classes.
    """

    smallest = 63

    name: Literal["alexnet"]
    dropout: Probability = Field(0.5, description="share of units before both hidden layers silenced in training")


class Vgg(ImageNet):
    """VGG (Simonyan & Zisserman 2015), as in torchvision; images of at least 32 x 32.

    Deviations: batch norm (`_bn`) is later than the paper; `init: auto` is Kaiming's, which trains the deep ones from
    scratch. 138,357,544 parameters at depth 16 for 1000 classes.
    """

    smallest = 32

    name: Literal["vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"]
    dropout: Probability = Field(0.5, description="share of units after both hidden layers silenced in training")


class CifarResNet(ImageNet):
    """A residual network for CIFAR (He et al. 2016, section 4.2), shortcuts without parameters; any image size.

    Convolutions start by Kaiming's rule with fan_out. For ten classes depth 20 has 269,722 parameters, depth 110
    1,727,962.
    """

    name: Literal["resnet20", "resnet32", "resnet44", "resnet56", "resnet110"]
