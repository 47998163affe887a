"""Geometry of a batch of images (N, C, H, W), with parameters of their own for each: boxes, crops, rotations."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

ATTEMPTS = 10
"""How often a box is drawn until one fits into the image, as of torchvision."""


class Boxes(NamedTuple):
    """(N,) int64 each: the first row and column of a box, and its size, which is 0 where none fitted."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor


def random_boxes(
    images: Tensor, scale: tuple[float, float], ratio: tuple[float, float], *, may_be_whole: bool
) -> Boxes:
    """A box for each image, as torchvision draws them.

    Args:
        images: (N, C, H, W).
        scale: The share of the area, uniform from and to.
        ratio: Width over height, log-uniform from and to.
        may_be_whole: Whether a box may be as high or wide as the image, and is central where none fitted.
    """
    (num, _, rows, columns), device = images.shape, images.device
    drawn = torch.rand(2, num, ATTEMPTS, device=device)
    area = rows * columns * (scale[0] + (scale[1] - scale[0]) * drawn[0])
    low, high = math.log(ratio[0]), math.log(ratio[1])
    aspect = (low + (high - low) * drawn[1]).exp()
    width, height = (area * aspect).sqrt().round().long(), (area / aspect).sqrt().round().long()  # (N, ATTEMPTS)
    if may_be_whole:
        fits = (width > 0) & (width <= columns) & (height > 0) & (height <= rows)
    else:
        fits = (width < columns) & (height < rows)
    first = fits.int().argmax(1, keepdim=True)  # the first of several largest ones
    found = fits.any(1)
    width, height = width.gather(1, first)[:, 0], height.gather(1, first)[:, 0]
    place = torch.rand(2, num, device=device)
    # Rounding may make the product of a number below 1 the whole.
    top = torch.minimum((place[0] * (rows - height + 1)).long(), rows - height)
    left = torch.minimum((place[1] * (columns - width + 1)).long(), columns - width)
    whole = _central(rows, columns, ratio) if may_be_whole else (0, 0, 0, 0)
    boxes = zip((top, left, height, width), whole, strict=True)
    return Boxes(*(torch.where(found, fitting, rest) for fitting, rest in boxes))


def _central(rows: int, columns: int, ratio: tuple[float, float]) -> tuple[int, int, int, int]:
    """The largest central box of a ratio that is allowed."""
    height, width = rows, columns
    if columns / rows < ratio[0]:
        height = round(columns / ratio[0])
    elif columns / rows > ratio[1]:
        width = round(rows * ratio[1])
    return (rows - height) // 2, (columns - width) // 2, height, width


def crop(images: Tensor, down: Tensor, right: Tensor, *, fill: float, mode: str) -> Tensor:
    """Each image moved: what was at (down, right) comes to (0, 0).

    Args:
        images: (N, C, H, W).
        down: (N,) int64, less than H in size.
        right: (N,) int64, less than W in size.
        fill: Of what comes in from outside, in mode constant.
        mode: constant, edge, reflect (without the border pixel) or symmetric (with it).
    """
    _, channels, height, width = images.shape
    rows, inside_rows = _source(down, height, mode)
    columns, inside_columns = _source(right, width, mode)
    flat = images.flatten(2)  # (N, C, H * W)
    index = (rows.unsqueeze(2) * width + columns.unsqueeze(1)).flatten(1)  # (N, H * W)
    moved = flat.gather(2, index.unsqueeze(1).expand(-1, channels, -1)).reshape(images.shape)
    if mode != "constant":
        return moved
    inside = inside_rows.unsqueeze(2) & inside_columns.unsqueeze(1)  # (N, H, W)
    return moved.masked_fill(~inside.unsqueeze(1), fill)


def _source(shift: Tensor, size: int, mode: str) -> tuple[Tensor, Tensor]:
    """(N, size) where each row or column comes from, and whether that is inside of the image."""
    place = shift.unsqueeze(1) + torch.arange(size, device=shift.device)
    inside = (place >= 0) & (place < size)
    if mode == "reflect":
        place = place.abs()
        place = torch.where(place < size, place, 2 * (size - 1) - place)
    elif mode == "symmetric":
        place = torch.where(place < 0, -1 - place, place)
        place = torch.where(place < size, place, 2 * size - 1 - place)
    return place.clamp(0, size - 1), inside


def resized_crop(images: Tensor, boxes: Boxes) -> Tensor:
    """The box of each image, resized to (H, W) bilinearly. Boxes are never larger, so nothing needs antialiasing."""
    height, width = images.shape[-2:]
    y = _stretched(boxes.top, boxes.height, height)
    x = _stretched(boxes.left, boxes.width, width)
    return _sample(images, y.unsqueeze(2).expand(-1, -1, width), x.unsqueeze(1).expand(-1, height, -1), "bilinear")


def _stretched(start: Tensor, length: Tensor, size: int) -> Tensor:
    """(N, size) source coordinates of `size` pixels over `length` ones from `start`; at the border inside."""
    start, length = start.unsqueeze(1).float(), length.unsqueeze(1).float()
    middle = torch.arange(size, device=start.device) + 0.5
    return (start + middle * length / size - 0.5).clamp(start, start + length - 1)


def rotate(images: Tensor, degrees: Tensor, *, interpolation: str, fill: float) -> Tensor:
    """Each image turned counter-clockwise about its centre.

    Args:
        images: (N, C, H, W).
        degrees: (N,).
        interpolation: nearest or bilinear.
        fill: What comes in from outside.
    """
    height, width = images.shape[-2:]
    angle = torch.deg2rad(degrees).reshape(-1, 1, 1)
    y = torch.arange(height, device=images.device).reshape(-1, 1) - (height - 1) / 2
    x = torch.arange(width, device=images.device) - (width - 1) / 2
    source_x = angle.cos() * x - angle.sin() * y + (width - 1) / 2
    source_y = angle.sin() * x + angle.cos() * y + (height - 1) / 2
    # grid_sample takes 0 from outside.
    return _sample(images - fill, source_y, source_x, interpolation) + fill


def _sample(images: Tensor, y: Tensor, x: Tensor, interpolation: str) -> Tensor:
    """The values at (N, H, W) rows y and columns x."""
    height, width = images.shape[-2:]
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=3)  # (N, H, W, 2)
    return F.grid_sample(images, grid, mode=interpolation, padding_mode="zeros", align_corners=False)


def erase(images: Tensor, boxes: Boxes, value: Tensor | float, *, chosen: Tensor) -> Tensor:
    """The box of each chosen image filled.

    Args:
        images: (N, C, H, W).
        boxes: One an image.
        value: A number, or of the images' shape.
        chosen: (N, 1, 1, 1) bool.
    """
    inside_rows = _within(boxes.top, boxes.height, images.shape[2])
    inside_columns = _within(boxes.left, boxes.width, images.shape[3])
    inside = (inside_rows.unsqueeze(2) & inside_columns.unsqueeze(1)).unsqueeze(1)  # (N, 1, H, W)
    return torch.where(inside & chosen, value, images)


def _within(start: Tensor, length: Tensor, size: int) -> Tensor:
    place = torch.arange(size, device=start.device)
    return (place >= start.unsqueeze(1)) & (place < (start + length).unsqueeze(1))
