"""Augmentation: a batch of training samples, changed at random, so that no epoch sees the same ones twice.

Every operation works on the whole batch on its device, without a loop over samples and without waiting for the device.
Its random numbers come from torch's global generators, which a checkpoint saves. torchvision draws random numbers once
a call, that is once an image; here each image of the batch draws its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.distributions import Beta
from torch.nn import functional as F

from nnzoo.data.fitting import to_real
from nnzoo.training.augmentation.color import jitter
from nnzoo.training.augmentation.geometry import crop, erase, random_boxes, resized_crop, rotate

Pair = tuple[float, float]


class Operation(Protocol):
    """One augmentation: (N, *) float32 inputs and encoded targets in, the same out. The arguments stay as they are."""

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Changes a batch."""


class Augment:
    """Augmentations one after the other.

    Args:
        operations: In their order.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.operations = tuple(operations)

    def __call__(self, inputs: Tensor, targets: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Changes a batch.

        Args:
            inputs: (N, *), uint8 images too: they become [0, 1] first.
            targets: Encoded.
            lengths: (N,) valid steps of sequences (N, T, F): what lies beyond stays 0.
        """
        changed = to_real(inputs)
        for operation in self.operations:
            changed, targets = operation(changed, targets)
        if lengths is not None:
            beyond = torch.arange(changed.shape[1], device=changed.device) >= lengths.unsqueeze(1)  # (N, T)
            changed = changed.masked_fill(beyond.unsqueeze(2), 0)
        return changed, targets


class HorizontalFlip:
    """Mirrors each image (N, C, H, W) left to right with probability `p`."""

    def __init__(self, *, p: float = 0.5) -> None:
        self.p = p

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Changes a batch."""
        return torch.where(_chosen(inputs, self.p), inputs.flip(-1), inputs), targets


class RandomCrop:
    """Pads each image (N, C, H, W) and cuts a place of its old size out of it.

    Args:
        padding: Pixels on every side; (left and right, top and bottom); or (left, top, right, bottom).
        fill: What the border is filled with, where `padding_mode` is constant.
        padding_mode: constant, edge, reflect or symmetric, as of torchvision.
    """

    def __init__(self, *, padding: Sequence[int], fill: float = 0.0, padding_mode: str = "constant") -> None:
        sides = {1: (0, 0, 0, 0), 2: (0, 1, 0, 1), 4: (0, 1, 2, 3)}[len(padding)]
        self.left, self.top, self.right, self.bottom = (padding[side] for side in sides)
        self.fill = fill
        self.padding_mode = padding_mode

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Changes a batch."""
        size, device = (len(inputs),), inputs.device
        down = torch.randint(self.top + self.bottom + 1, size, device=device) - self.top
        right = torch.randint(self.left + self.right + 1, size, device=device) - self.left
        return crop(inputs, down, right, fill=self.fill, mode=self.padding_mode), targets


class RandomResizedCrop:
    """Cuts a box out of each image (N, C, H, W) and resizes it, bilinearly, to the image's size.

    Args:
        scale: The box's share of the area, from and to.
        ratio: Its width over its height, from and to.
    """

    def __init__(self, *, scale: Pair = (0.08, 1.0), ratio: Pair = (3 / 4, 4 / 3)) -> None:
        self.scale = scale
        self.ratio = ratio

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Changes a batch."""
        return resized_crop(inputs, random_boxes(inputs, self.scale, self.ratio, may_be_whole=True)), targets


class Rotation:
    """Turns each image (N, C, H, W) about its centre.

    Args:
        degrees: From and to, counter-clockwise.
        interpolation: nearest or bilinear.
        fill: What comes in from outside.
    """

    def __init__(self, *, degrees: Pair, interpolation: str = "nearest", fill: float = 0.0) -> None:
        self.degrees = degrees
        self.interpolation = interpolation
        self.fill = fill

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Changes a batch."""
        angles = _uniform(inputs, *self.degrees)
        return rotate(inputs, angles, interpolation=self.interpolation, fill=self.fill), targets


class Erasing:
    """Fills a box of each image (N, C, H, W) with one value, with probability `p` (Zhong et al. 2020).

    Args:
        p: Of each image.
        scale: The box's share of the area, from and to.
        ratio: Its height over its width, from and to.
        value: What it is filled with; None for N(0, 1).
    """

    def __init__(
        self, *, p: float = 0.5, scale: Pair = (0.02, 0.33), ratio: Pair = (0.3, 3.3), value: float | None = 0.0
    ) -> None:
        self.p = p
        self.scale = scale
        self.ratio = ratio
        self.value = value

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Changes a batch."""
        # torchvision means height over width here, and width over height for crops.
        boxes = random_boxes(inputs, self.scale, (1 / self.ratio[1], 1 / self.ratio[0]), may_be_whole=False)
        value = torch.randn_like(inputs) if self.value is None else self.value
        return erase(inputs, boxes, value, chosen=_chosen(inputs, self.p)), targets


class Noise:
    """Adds N(mean, sigma^2) to every number (N, *).

    Args:
        mean: Of the noise.
        sigma: Its standard deviation.
        clip: Whether the sum is kept within [0, 1].
    """

    def __init__(self, *, mean: float = 0.0, sigma: float = 0.1, clip: bool = False) -> None:
        self.mean = mean
        self.sigma = sigma
        self.clip = clip

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Changes a batch."""
        noisy = inputs + (torch.randn_like(inputs) * self.sigma + self.mean)
        return noisy.clamp(0, 1) if self.clip else noisy, targets


class ColorJitter:
    """Changes the colours of each image (N, 1 or 3, H, W) in [0, 1].

    The order of the four changes is drawn once a batch, their amounts for each image.

    Args:
        brightness, contrast, saturation: Factors, from and to; None: not changed.
        hue: Turns of the colour wheel, from and to; None: not changed.
    """

    def __init__(
        self,
        *,
        brightness: Pair | None = None,
        contrast: Pair | None = None,
        saturation: Pair | None = None,
        hue: Pair | None = None,
    ) -> None:
        self.ranges = (brightness, contrast, saturation, hue)

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Changes a batch."""
        for kind in torch.randperm(4).tolist():
            if (bounds := self.ranges[kind]) is not None:
                inputs = jitter(inputs, kind, _uniform(inputs, *bounds).reshape(-1, 1, 1, 1))
        return inputs, targets


class Mixup:
    """Mixes each sample with the one before it in the batch: lam * x_i + (1 - lam) * x_j (Zhang et al. 2018).

    lam ~ Beta(alpha, alpha), one a batch. Targets are mixed alike: classes become probabilities.

    Args:
        alpha: 1: lam is uniform; near 0: hardly mixed.
        num_classes: K of class indices.
    """

    def __init__(self, *, alpha: float = 1.0, num_classes: int) -> None:
        self.alpha = alpha
        self.num_classes = num_classes

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Changes a batch."""
        share = _beta(self.alpha, inputs)
        return _mix(inputs, share), _mix(_soft(targets, self.num_classes), share)


class Cutmix:
    """Puts a box of the image before it in the batch into each image (N, C, H, W) (Yun et al. 2019).

    The box has a share 1 - lam of the area, lam ~ Beta(alpha, alpha); one a batch. Targets are mixed by the area.

    Args:
        alpha: As of `Mixup`.
        num_classes: K of class indices.
    """

    def __init__(self, *, alpha: float = 1.0, num_classes: int) -> None:
        self.alpha = alpha
        self.num_classes = num_classes

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Changes a batch."""
        height, width = inputs.shape[-2:]
        half = 0.5 * (1 - _beta(self.alpha, inputs)).sqrt()
        inside = _span(height, half, inputs).unsqueeze(1) & _span(width, half, inputs)  # (H, W)
        share = 1 - inside.float().mean()
        return torch.where(inside, inputs.roll(1, 0), inputs), _mix(_soft(targets, self.num_classes), share)


def _chosen(inputs: Tensor, p: float) -> Tensor:
    """(N, 1, 1, 1) each with probability p."""
    return (torch.rand(len(inputs), device=inputs.device) < p).reshape(-1, 1, 1, 1)


def _uniform(inputs: Tensor, low: float, high: float) -> Tensor:
    """(N,) one number a sample."""
    return low + (high - low) * torch.rand(len(inputs), device=inputs.device)


def _beta(alpha: float, inputs: Tensor) -> Tensor:
    concentration = torch.tensor(alpha, device=inputs.device)
    # Checking the arguments would wait for the device.
    return Beta(concentration, concentration, validate_args=False).sample()


def _mix(values: Tensor, share: Tensor) -> Tensor:
    return values * share + values.roll(1, 0) * (1 - share)


def _soft(targets: Tensor, num_classes: int) -> Tensor:
    return F.one_hot(targets, num_classes).float() if targets.ndim == 1 else targets


def _span(size: int, half: Tensor, inputs: Tensor) -> Tensor:
    """(size,) which places are within `half * size` of a random one, as torchvision rounds it."""
    centre = torch.randint(size, (1,), device=inputs.device)
    reach = (half * size).long()
    place = torch.arange(size, device=inputs.device)
    return (place >= centre - reach) & (place < centre + reach)
