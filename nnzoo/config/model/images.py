"""Image architectures, as described in their papers."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from nnzoo.config.base import Probability
from nnzoo.config.model.base import Model


class ImageNet(Model):
    """Base class of all networks for images."""

    layouts = frozenset({"image"})
    smallest: ClassVar[int] = 1
    """The smallest height and width that the network accepts."""


class LeNet5(ImageNet):
    """LeNet-5 (LeCun et al. 1998): images below 32 x 32 are padded to that size.

    Deviations: every filter of C3 reads all feature maps, pooling has no trainable coefficients, and the output is
        linear.
    61,706 parameters for 28 x 28 grayscale images and ten classes.
    """

    name: Literal["lenet5"]


class AlexNet(ImageNet):
    """AlexNet with one tower (Krizhevsky 2014), as in torchvision; images of at least 63 x 63.

    Deviations from Krizhevsky et al. 2012: one tower, no local response normalization; `init: auto` is Kaiming normal
    instead of N(0, 0.01^2). 61,100,840 parameters for 1000 classes.
    """

    smallest = 63

    name: Literal["alexnet"]
    dropout: Probability = Field(0.5, description="dropout probability before both hidden layers")


class Vgg(ImageNet):
    """VGG (Simonyan & Zisserman 2015), as in torchvision; images of at least 32 x 32.

    Deviations: batch norm (`_bn`) is not in the paper; `init: auto` is Kaiming normal, with which the deep networks
    can be trained from scratch. 138,357,544 parameters for depth 16 and 1000 classes.
    """

    smallest = 32

    name: Literal["vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"]
    dropout: Probability = Field(0.5, description="dropout probability after both hidden layers")


class CifarResNet(ImageNet):
    """A residual network for CIFAR (He et al. 2016, section 4.2), for any image size; shortcuts have no parameters.

    `init: auto` is Kaiming normal with fan_out. For ten classes, depth 20 has 269,722 parameters and depth 110 has
    1,727,962.
    """

    name: Literal["resnet20", "resnet32", "resnet44", "resnet56", "resnet110"]
