"""Rules that reject augmentations incompatible with the layout, the loss or the image size."""

from __future__ import annotations

from collections.abc import Iterator

from nnzoo.config import augment
from nnzoo.config.base import fields_of
from nnzoo.config.choices import resolved_loss
from nnzoo.config.document import Path, Problem
from nnzoo.config.experiment import Config
from nnzoo.config.facts import Facts


def augment_rules(config: Config, facts: Facts) -> Iterator[Problem]:
    yield from _at_test_time(config, facts)
    for index, section in enumerate(config.augment):
        path: Path = ("augment", index)
        if facts.layout is not None and facts.layout not in section.layouts:
            changed = " or ".join("images" if layout == "image" else layout for layout in sorted(section.layouts))
            yield path, f"{section.name} is for {changed}, but this data is {_kind(facts.layout)}. Remove it."
            continue
        if config.preprocess.pca and section.layouts == {"image"}:
            yield (
                path,
                f"pca turns images into components, which {section.name} can't change. Remove one of the two.",
            )
        for key, value in fields_of(section).items():
            if isinstance(value, tuple) and key != "padding" and (len(value) != 2 or value[0] > value[1]):
                yield (*path, key), f"expected two increasing numbers, [from, to], got {list(value)}."
        if section.mixes_targets:
            yield from _mixing(path, section, config, facts)
        pixels = augment.are_pixels(config.preprocess, facts)
        if isinstance(section, augment.RandomCrop):
            yield from _padding(path, section, facts)
        elif isinstance(section, augment.ColorJitter):
            yield from _colors(path, section, facts, pixels)
        elif isinstance(section, augment.Noise) and section.clip and pixels is False:
            yield (*path, "clip"), "the inputs are not pixels in [0, 1], so clipping would corrupt them. Remove it."


def _at_test_time(config: Config, facts: Facts) -> Iterator[Problem]:
    flip = config.train.tta
    if flip is None:
        return
    path: Path = ("train", "tta")
    if facts.layout not in (None, "image"):
        yield path, f"{flip} mirrors images, but this data is {_kind(facts.layout)}. Remove it."
    elif config.preprocess.pca:
        yield path, f"pca turns images into components, which {flip} can't mirror. Remove one of the two."


def _kind(layout: str) -> str:
    return {"image": "images", "sequence": "sequences"}.get(layout, layout)


def _mixing(path: Path, section: augment.Augmentation, config: Config, facts: Facts) -> Iterator[Problem]:
    chosen = resolved_loss(config, facts)
    if facts.task == "regression":
        yield path, f"{section.name} is for classification, but this task is regression. Remove it."
    elif chosen is not None and chosen.reads == "margins":
        yield (
            path,
            f"{section.name} turns targets into probabilities, which {chosen.name} does not support. Use "
            "`loss: cross_entropy`.",
        )
    if config.train.batch_size == 1:
        yield ("train", "batch_size"), f"{section.name} needs at least two samples per batch, got 1."


def _padding(path: Path, section: augment.RandomCrop, facts: Facts) -> Iterator[Problem]:
    sides = (section.padding,) if isinstance(section.padding, int) else section.padding
    path = (*path, "padding")
    if len(sides) not in (1, 2, 4):
        yield path, f"expected one, two or four numbers of pixels, got {len(sides)}."
    elif not any(sides):
        yield path, "without padding a crop has only one position, so random_crop has no effect. Remove it."
    elif facts.input_shape and facts.layout == "image":
        # Left and right come first: (left, top, right, bottom).
        _, height, width = facts.input_shape
        for side, pixels in enumerate(sides):
            most = (height if side % 2 else width) if len(sides) > 1 else min(height, width)
            if pixels >= most:
                yield path, f"expected less than the image's {most} pixels, got {pixels}."


def _colors(path: Path, section: augment.ColorJitter, facts: Facts, pixels: bool | None) -> Iterator[Problem]:
    if not any((section.brightness, section.contrast, section.saturation, section.hue)):
        yield (
            path,
            "color_jitter has no effect by default. Set brightness, contrast, saturation or hue, such as brightness: "
            "0.2.",
        )
    if pixels is False:
        yield path, "color_jitter is for pixels in [0, 1], but the inputs are not. Use noise, or remove it."
    elif facts.input_shape and facts.layout == "image":
        channels = facts.input_shape[0]
        if channels not in (1, 3):
            yield path, f"color_jitter is for images with 1 or 3 channels, got {channels}. Remove it."
        for key in ("saturation", "hue"):
            if channels == 1 and getattr(section, key):
                yield (*path, key), "grayscale images have no color. Remove this key."
