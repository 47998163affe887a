"""Builds the augmentations from their config sections."""

from __future__ import annotations

from nnzoo.config import Config
from nnzoo.config import augment as sections
from nnzoo.config.base import fields_of
from nnzoo.training.augmentation.augment import (
    Augment,
    ColorJitter,
    Cutmix,
    Erasing,
    HorizontalFlip,
    Mixup,
    Noise,
    Operation,
    RandomCrop,
    RandomResizedCrop,
    Rotation,
)


def build_augment(config: Config, num_classes: int) -> Augment | None:
    """Builds the augmentations of a config; returns None if it has none.

    Args:
        config: The resolved config.
        num_classes: The number of classes if the targets are class indices.
    """
    return Augment([_build_operation(section, num_classes) for section in config.augment]) if config.augment else None


def _build_operation(section: sections.Augmentation, num_classes: int) -> Operation:
    fields = fields_of(section)
    match section:
        case sections.HorizontalFlip():
            return HorizontalFlip(**fields)
        case sections.RandomCrop():
            padding = section.padding
            return RandomCrop(**{**fields, "padding": (padding,) if isinstance(padding, int) else padding})
        case sections.RandomResizedCrop():
            return RandomResizedCrop(**fields)
        case sections.Rotation():
            return Rotation(**{**fields, "degrees": _pair(section.degrees)})
        case sections.Erasing():
            return Erasing(**{**fields, "value": None if section.value == "random" else section.value})
        case sections.Mixup():
            return Mixup(alpha=section.alpha, num_classes=num_classes)
        case sections.Cutmix():
            return Cutmix(alpha=section.alpha, num_classes=num_classes)
        case sections.Noise():
            return Noise(**{**fields, "clip": section.clip is True})
        case sections.ColorJitter():
            factors = ("brightness", "contrast", "saturation")
            return ColorJitter(
                **{key: _around_one(getattr(section, key)) for key in factors},
                hue=_pair(section.hue) if section.hue else None,
            )
    raise AssertionError(section)


def _pair(amount: float | tuple[float, ...]) -> tuple[float, float]:
    return (amount[0], amount[1]) if isinstance(amount, tuple) else (-amount, amount)


def _around_one(amount: float | tuple[float, ...]) -> tuple[float, float] | None:
    """Returns the range of a factor; None if it is always 1."""
    if isinstance(amount, tuple):
        return amount[0], amount[1]
    return (max(0.0, 1 - amount), 1 + amount) if amount else None
