"""Boxes, crops and rotations for a batch of images (N, C, H, W), with separate parameters for each image."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

ATTEMPTS = 10
"""Maximum number of draws until a box fits into the image, as in torchvision."""


class Boxes(NamedTuple):
    """One box per image, (N,) int64 each: its first row and column, and its size, 0 if no random box fitted."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor


def random_boxes(
    images: Tensor, scale: tuple[float, float], ratio: tuple[float, float], *, may_be_whole: bool
) -> Boxes:
    """Draws a box for each image, as torchvision does.

    Args:
        images: (N, C, H, W).
        scale: The range of the area as a fraction of the area of the image; uniform.
        ratio: The range of width / height; log-uniform.
        may_be_whole: Whether a box may be as high or wide as the image. If so, a central box is used if no random box
            fitted.
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
    first = fits.int().argmax(1, keepdim=True)  # argmax returns the first maximum
    any_fits = fits.any(1)
    width, height = width.gather(1, first)[:, 0], height.gather(1, first)[:, 0]
    place = torch.rand(2, num, device=device)
    # Rounding may turn the product with a number below 1 into the upper bound.
    top = torch.minimum((place[0] * (rows - height + 1)).long(), rows - height)
    left = torch.minimum((place[1] * (columns - width + 1)).long(), columns - width)
    whole = _central_box(rows, columns, ratio) if may_be_whole else (0, 0, 0, 0)
    boxes = zip((top, left, height, width), whole, strict=True)
    return Boxes(*(torch.where(any_fits, fitting, rest) for fitting, rest in boxes))


def _central_box(rows: int, columns: int, ratio: tuple[float, float]) -> tuple[int, int, int, int]:
    """Returns the largest central box with a ratio in the range."""
    height, width = rows, columns
    if columns / rows < ratio[0]:
        height = round(columns / ratio[0])
    elif columns / rows > ratio[1]:
        width = round(rows * ratio[1])
    return (rows - height) // 2, (columns - width) // 2, height, width


def crop(images: Tensor, down: Tensor, right: Tensor, *, fill: float, mode: str) -> Tensor:
    """Shifts each image: the pixel at (down, right) moves to (0, 0).

    Args:
        images: (N, C, H, W).
        down: (N,) int64 with |down| < H.
        right: (N,) int64 with |right| < W.
        fill: The value of pixels that come from outside the image, in mode constant.
        mode: constant, edge, reflect (without the border pixel) or symmetric (with it).
    """
    _, channels, height, width = images.shape
    rows, inside_rows = _source_index(down, height, mode)
    columns, inside_columns = _source_index(right, width, mode)
    flat = images.flatten(2)  # (N, C, H * W)
    index = (rows.unsqueeze(2) * width + columns.unsqueeze(1)).flatten(1)  # (N, H * W)
    moved = flat.gather(2, index.unsqueeze(1).expand(-1, channels, -1)).reshape(images.shape)
    if mode != "constant":
        return moved
    inside = inside_rows.unsqueeze(2) & inside_columns.unsqueeze(1)  # (N, H, W)
    return moved.masked_fill(~inside.unsqueeze(1), fill)


def _source_index(shift: Tensor, size: int, mode: str) -> tuple[Tensor, Tensor]:
    """Returns the source index of each row or column, (N, size), and whether it is inside the image."""
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
    """Resizes the box of each image to (H, W) bilinearly. Boxes are not larger, so antialiasing is not needed."""
    height, width = images.shape[-2:]
    y = _source_coordinates(boxes.top, boxes.height, height)
    x = _source_coordinates(boxes.left, boxes.width, width)
    return _sample(images, y.unsqueeze(2).expand(-1, -1, width), x.unsqueeze(1).expand(-1, height, -1), "bilinear")


def _source_coordinates(start: Tensor, length: Tensor, size: int) -> Tensor:
    """Returns coordinates (N, size), clamped: `size` pixels spread over the `length` pixels from `start`."""
    start, length = start.unsqueeze(1).float(), length.unsqueeze(1).float()
    middle = torch.arange(size, device=start.device) + 0.5
    return (start + middle * length / size - 0.5).clamp(start, start + length - 1)


def rotate(images: Tensor, degrees: Tensor, *, interpolation: str, fill: float) -> Tensor:
    """Rotates each image counter-clockwise about its centre.

    Args:
        images: (N, C, H, W).
        degrees: (N,).
        interpolation: nearest or bilinear.
        fill: The value of pixels that come from outside the image.
    """
    height, width = images.shape[-2:]
    angle = torch.deg2rad(degrees).reshape(-1, 1, 1)
    y = torch.arange(height, device=images.device).reshape(-1, 1) - (height - 1) / 2
    x = torch.arange(width, device=images.device) - (width - 1) / 2
    source_x = angle.cos() * x - angle.sin() * y + (width - 1) / 2
    source_y = angle.sin() * x + angle.cos() * y + (height - 1) / 2
    # grid_sample reads 0 outside the image.
    return _sample(images - fill, source_y, source_x, interpolation) + fill


def _sample(images: Tensor, y: Tensor, x: Tensor, interpolation: str) -> Tensor:
    """Returns the values at rows y and columns x, (N, H, W) each."""
    height, width = images.shape[-2:]
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=3)  # (N, H, W, 2)
    return F.grid_sample(images, grid, mode=interpolation, padding_mode="zeros", align_corners=False)


def erase(images: Tensor, boxes: Boxes, value: Tensor | float, *, chosen: Tensor) -> Tensor:
    """Fills the box of each chosen image.

    Args:
        images: (N, C, H, W).
        boxes: One box per image.
        value: A number, or a tensor of the shape of the images.
        chosen: (N, 1, 1, 1) bool.
    """
    inside_rows = _inside_mask(boxes.top, boxes.height, images.shape[2])
    inside_columns = _inside_mask(boxes.left, boxes.width, images.shape[3])
    inside = (inside_rows.unsqueeze(2) & inside_columns.unsqueeze(1)).unsqueeze(1)  # (N, 1, H, W)
    return torch.where(inside & chosen, value, images)


def _inside_mask(start: Tensor, length: Tensor, size: int) -> Tensor:
    place = torch.arange(size, device=start.device)
    return (place >= start.unsqueeze(1)) & (place < (start + length).unsqueeze(1))
