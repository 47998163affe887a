"""Augmentation: random changes to training batches, drawn again in every epoch.

Every operation works on the batch as a whole, on its device, without a loop over samples and without a sync. Its random
numbers come from torch's global generators, which a checkpoint saves. The numbers differ for each image of a batch, as
if torchvision were called once per image.
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
    """An augmentation: maps float32 inputs (N, *) and encoded targets to new ones. It does not modify its arguments."""

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Augments a batch."""


class Augment:
    """A sequence of augmentations.

    Args:
        operations: The augmentations, in the order in which they are applied.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.operations = tuple(operations)

    def __call__(self, inputs: Tensor, targets: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Augments a batch.

        Args:
            inputs: (N, *). uint8 images are scaled to [0, 1] first.
            targets: The encoded targets.
            lengths: (N,) the number of valid steps of sequences (N, T, F); the padding stays 0.
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
        """Augments a batch."""
        return torch.where(_random_mask(inputs, self.p), inputs.flip(-1), inputs), targets


class RandomCrop:
    """Pads each image (N, C, H, W) and crops it to its original size at a random position.

    Args:
        padding: Number of pixels: one for all sides, (left and right, top and bottom), or (left, top, right, bottom).
        fill: The value of the border if `padding_mode` is constant.
        padding_mode: constant, edge, reflect or symmetric, as in torchvision.
    """

    def __init__(self, *, padding: Sequence[int], fill: float = 0.0, padding_mode: str = "constant") -> None:
        sides = {1: (0, 0, 0, 0), 2: (0, 1, 0, 1), 4: (0, 1, 2, 3)}[len(padding)]
        self.left, self.top, self.right, self.bottom = (padding[side] for side in sides)
        self.fill = fill
        self.padding_mode = padding_mode

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Augments a batch."""
        size, device = (len(inputs),), inputs.device
        down = torch.randint(self.top + self.bottom + 1, size, device=device) - self.top
        right = torch.randint(self.left + self.right + 1, size, device=device) - self.left
        return crop(inputs, down, right, fill=self.fill, mode=self.padding_mode), targets


class RandomResizedCrop:
    """Crops a random box of each image (N, C, H, W) and resizes it, bilinearly, to the size of the image.

    Args:
        scale: The range of the area of the box, as a fraction of the area of the image.
        ratio: The range of its width divided by its height.
    """

    def __init__(self, *, scale: Pair = (0.08, 1.0), ratio: Pair = (3 / 4, 4 / 3)) -> None:
        self.scale = scale
        self.ratio = ratio

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Augments a batch."""
        return resized_crop(inputs, random_boxes(inputs, self.scale, self.ratio, may_be_whole=True)), targets


class Rotation:
    """Rotates each image (N, C, H, W) about its centre.

    Args:
        degrees: The range of the angle, counter-clockwise.
        interpolation: nearest or bilinear.
        fill: The value of pixels that come from outside the image.
    """

    def __init__(self, *, degrees: Pair, interpolation: str = "nearest", fill: float = 0.0) -> None:
        self.degrees = degrees
        self.interpolation = interpolation
        self.fill = fill

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Augments a batch."""
        angles = _uniform(inputs, *self.degrees)
        return rotate(inputs, angles, interpolation=self.interpolation, fill=self.fill), targets


class Erasing:
    """Fills a box of each image (N, C, H, W) with one value, with probability `p` (Zhong et al. 2020).

    Args:
        p: The probability for each image.
        scale: The range of the area of the box, as a fraction of the area of the image.
        ratio: The range of its height divided by its width.
        value: The fill value; None for noise from N(0, 1).
    """

    def __init__(
        self, *, p: float = 0.5, scale: Pair = (0.02, 0.33), ratio: Pair = (0.3, 3.3), value: float | None = 0.0
    ) -> None:
        self.p = p
        self.scale = scale
        self.ratio = ratio
        self.value = value

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Augments a batch."""
        # As in torchvision, the ratio is height / width here, and width / height for crops.
        boxes = random_boxes(inputs, self.scale, (1 / self.ratio[1], 1 / self.ratio[0]), may_be_whole=False)
        value = torch.randn_like(inputs) if self.value is None else self.value
        return erase(inputs, boxes, value, chosen=_random_mask(inputs, self.p)), targets


class Noise:
    """Adds noise from N(mean, sigma^2) to every value of (N, *).

    Args:
        mean: The mean of the noise.
        sigma: The standard deviation of the noise.
        clip: Whether the result is clamped to [0, 1].
    """

    def __init__(self, *, mean: float = 0.0, sigma: float = 0.1, clip: bool = False) -> None:
        self.mean = mean
        self.sigma = sigma
        self.clip = clip

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Augments a batch."""
        noisy = inputs + (torch.randn_like(inputs) * self.sigma + self.mean)
        return noisy.clamp(0, 1) if self.clip else noisy, targets


class ColorJitter:
    """Changes the colours of each image (N, 1 or 3, H, W) in [0, 1].

    The order of the four changes is drawn once per batch, and their amounts are drawn for each image.

    Args:
        brightness, contrast, saturation: The range of the factor; None for no change.
        hue: The range of the shift, as a fraction of the colour wheel; None for no change.
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
        """Augments a batch."""
        for kind in torch.randperm(4).tolist():
            if (bounds := self.ranges[kind]) is not None:
                inputs = jitter(inputs, kind, _uniform(inputs, *bounds).reshape(-1, 1, 1, 1))
        return inputs, targets


class Mixup:
    """Mixes each sample with the previous one of the batch: lam * x_i + (1 - lam) * x_j (Zhang et al. 2018).

    lam ~ Beta(alpha, alpha), one per batch. Targets are mixed in the same way: class indices become probabilities.

    Args:
        alpha: The parameter of the beta distribution. With 1, lam is uniform; near 0, samples are hardly mixed.
        num_classes: The number of classes.
    """

    def __init__(self, *, alpha: float = 1.0, num_classes: int) -> None:
        self.alpha = alpha
        self.num_classes = num_classes

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Augments a batch."""
        share = _beta(self.alpha, inputs)
        return _mix(inputs, share), _mix(_to_probabilities(targets, self.num_classes), share)


class Cutmix:
    """Pastes a box of the previous image of the batch into each image (N, C, H, W) (Yun et al. 2019).

    The box covers a fraction 1 - lam of the area, lam ~ Beta(alpha, alpha), one per batch. Targets are mixed by area.

    Args:
        alpha: As in `Mixup`.
        num_classes: The number of classes.
    """

    def __init__(self, *, alpha: float = 1.0, num_classes: int) -> None:
        self.alpha = alpha
        self.num_classes = num_classes

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Augments a batch."""
        height, width = inputs.shape[-2:]
        half = 0.5 * (1 - _beta(self.alpha, inputs)).sqrt()
        inside = _random_span(height, half, inputs).unsqueeze(1) & _random_span(width, half, inputs)  # (H, W)
        share = 1 - inside.float().mean()
        return torch.where(inside, inputs.roll(1, 0), inputs), _mix(_to_probabilities(targets, self.num_classes), share)


def _random_mask(inputs: Tensor, p: float) -> Tensor:
    """Returns a mask (N, 1, 1, 1), in which each entry is True with probability p."""
    return (torch.rand(len(inputs), device=inputs.device) < p).reshape(-1, 1, 1, 1)


def _uniform(inputs: Tensor, low: float, high: float) -> Tensor:
    """Returns one number per sample, (N,), from U(low, high)."""
    return low + (high - low) * torch.rand(len(inputs), device=inputs.device)


def _beta(alpha: float, inputs: Tensor) -> Tensor:
    # Copying a number to the device, or validating the arguments, would be a sync.
    concentration = torch.full((), alpha, device=inputs.device)
    return Beta(concentration, concentration, validate_args=False).sample()


def _mix(values: Tensor, share: Tensor) -> Tensor:
    return values * share + values.roll(1, 0) * (1 - share)


def _to_probabilities(targets: Tensor, num_classes: int) -> Tensor:
    return F.one_hot(targets, num_classes).float() if targets.ndim == 1 else targets


def _random_span(size: int, half: Tensor, inputs: Tensor) -> Tensor:
    """Returns a mask (size,) of the positions within `half * size` of a random position, rounded as in torchvision."""
    centre = torch.randint(size, (1,), device=inputs.device)
    reach = (half * size).long()
    place = torch.arange(size, device=inputs.device)
    return (place >= centre - reach) & (place < centre + reach)
