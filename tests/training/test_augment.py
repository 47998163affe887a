"""Augmentation of batches: each operation against torchvision with the same parameters."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
import torchvision.transforms.v2 as tv
import torchvision.transforms.v2.functional as tvf
from torch import Tensor
from torchvision.transforms import InterpolationMode

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
from nnzoo.training.augmentation.color import jitter
from nnzoo.training.augmentation.geometry import Boxes, crop, erase, random_boxes, resized_crop, rotate

NUM, HEIGHT, WIDTH = 6, 9, 12
LABELS = torch.arange(NUM) % 3


def images(channels: int = 3, num: int = NUM) -> Tensor:
    return torch.rand(num, channels, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))


STEPS: list[Operation] = [
    HorizontalFlip(),
    RandomCrop(padding=(2,)),
    RandomResizedCrop(),
    Rotation(degrees=(-20, 20)),
    Erasing(p=1.0),
    Noise(),
    Noise(clip=True),
    ColorJitter(brightness=(0.5, 1.5), contrast=(0.5, 1.5), saturation=(0.5, 1.5), hue=(-0.2, 0.2)),
    Mixup(num_classes=3),
    Cutmix(num_classes=3),
]
NAMES = [type(step).__name__ for step in STEPS]


@pytest.mark.parametrize("step", STEPS, ids=NAMES)
def test_the_same_random_state_gives_the_same_batch_and_the_input_is_not_modified(step: Operation) -> None:
    batch = images()
    before = batch.clone()
    torch.manual_seed(3)
    first = step(batch, LABELS)
    torch.manual_seed(3)
    second = step(batch, LABELS)
    third = step(batch, LABELS)
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[0], third[0])
    assert torch.equal(batch, before)
    assert first[0].shape == batch.shape
    assert first[0].dtype == torch.float32


@pytest.mark.parametrize("step", STEPS[:7], ids=NAMES[:7])
def test_each_image_draws_its_own_numbers(step: Operation) -> None:
    one = images(num=1)
    changed, _ = step(one.expand(32, -1, -1, -1), LABELS)
    assert len({tuple(image.flatten().tolist()) for image in changed}) > (1 if isinstance(step, HorizontalFlip) else 4)


def test_flip_matches_torchvision_for_the_chosen_images() -> None:
    batch = images(num=400)
    flipped, _ = HorizontalFlip(p=0.25)(batch, LABELS)
    chosen = (flipped != batch).flatten(1).any(1)
    assert torch.equal(flipped, torch.where(chosen.reshape(-1, 1, 1, 1), tvf.horizontal_flip(batch), batch))
    # Five standard deviations of a binomial.
    assert abs(float(chosen.float().mean()) - 0.25) < 5 * math.sqrt(0.25 * 0.75 / 400)
    assert torch.equal(HorizontalFlip(p=0.0)(batch, LABELS)[0], batch)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
@pytest.mark.parametrize("padding", [[4], [3, 2], [1, 2, 3, 0]])
def test_crop_matches_pad_and_crop_of_torchvision(mode: str, padding: list[int]) -> None:
    left, top = (padding * 2)[:2]
    batch = images()
    fill = 0.3 if mode == "constant" else 0.0
    padded = tvf.pad(batch, padding, fill=fill, padding_mode=mode)
    places = {(y, x) for y in range(padded.shape[2] - HEIGHT + 1) for x in range(padded.shape[3] - WIDTH + 1)}
    for y, x in places:
        moved = crop(batch, torch.full((NUM,), y - top), torch.full((NUM,), x - left), fill=fill, mode=mode)
        assert torch.equal(moved, tvf.crop(padded, y, x, HEIGHT, WIDTH))
    step = RandomCrop(padding=padding, fill=fill, padding_mode=mode)
    allowed = {tuple(tvf.crop(padded[0], y, x, HEIGHT, WIDTH).flatten().tolist()) for y, x in places}
    drawn = {tuple(image.flatten().tolist()) for image in step(batch[:1].expand(3000, -1, -1, -1), LABELS)[0]}
    assert drawn == allowed


def test_boxes_are_drawn_as_in_torchvision() -> None:
    batch = torch.empty(20_000, 1, HEIGHT, WIDTH)
    torch.manual_seed(0)
    boxes = random_boxes(batch, (0.2, 0.9), (0.5, 2.0), may_be_whole=True)
    reference = tv.RandomResizedCrop((HEIGHT, WIDTH), scale=(0.2, 0.9), ratio=(0.5, 2.0))
    drawn = [reference.make_params([batch[0]]) for _ in range(4000)]
    for ours, key in zip(boxes, ("top", "left", "height", "width"), strict=True):
        theirs = torch.tensor([float(each[key]) for each in drawn])
        error = theirs.std() / math.sqrt(len(theirs))
        assert abs(float(ours.float().mean() - theirs.mean())) < 5 * error
    assert bool((boxes.top + boxes.height <= HEIGHT).all())
    assert bool((boxes.left + boxes.width <= WIDTH).all())
    assert int(min(boxes.height.min(), boxes.width.min())) >= 1


def test_if_no_box_fits_a_crop_is_central_and_nothing_is_erased() -> None:
    batch = images()
    for ratio in ((3.0, 4.0), (0.2, 0.3)):
        box = tv.RandomResizedCrop((HEIGHT, WIDTH), scale=(1.0, 1.0), ratio=ratio).make_params([batch[0]])
        found = random_boxes(batch, (1.0, 1.0), ratio, may_be_whole=True)
        assert [part.tolist() for part in found] == [[box[key]] * NUM for key in ("top", "left", "height", "width")]
    kept, _ = Erasing(p=1.0, scale=(1.0, 1.0), ratio=(1.0, 1.0))(batch, LABELS)
    assert torch.equal(kept, batch)


@pytest.mark.parametrize("antialias", [True, False])
def test_resized_crop_matches_torchvision(antialias: bool) -> None:
    batch = images()
    boxes = random_boxes(batch, (0.1, 1.0), (0.5, 2.0), may_be_whole=True)
    found = resized_crop(batch, boxes)
    for index, (top, left, height, width) in enumerate(zip(*map(Tensor.tolist, boxes), strict=True)):
        expected = tvf.resized_crop(batch[index], top, left, height, width, [HEIGHT, WIDTH], antialias=antialias)
        torch.testing.assert_close(found[index], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("degrees", [0.0, 180.0, -30.0, 17.3])
def test_rotation_matches_torchvision(degrees: float) -> None:
    batch = images()
    turn = torch.full((NUM,), degrees)
    nearest = rotate(batch, turn, interpolation="nearest", fill=0.5)
    expected = tvf.rotate(batch, degrees, InterpolationMode.NEAREST, fill=0.5)
    # If two pixels have the same distance, rounding decides.
    assert float((nearest - expected).abs().gt(1e-5).float().mean()) < 0.02
    smooth = rotate(batch, turn, interpolation="bilinear", fill=0.0)
    expected = tvf.rotate(batch, degrees, InterpolationMode.BILINEAR, fill=None)
    torch.testing.assert_close(smooth, expected, atol=1e-4, rtol=1e-4)


def test_erasing_matches_torchvision() -> None:
    batch = images()
    boxes = Boxes(*(torch.tensor(values) for values in ([0, 2, 5, 1, 0, 3], [1, 0, 4, 2, 2, 7], [3] * 6, [5] * 6)))
    chosen = torch.tensor([True, False, True, True, True, True]).reshape(-1, 1, 1, 1)
    found = erase(batch, boxes, 0.7, chosen=chosen)
    for index in range(NUM):
        box = [int(part[index]) for part in boxes]
        expected = tvf.erase(batch[index], box[0], box[1], box[2], box[3], torch.tensor(0.7))
        assert torch.equal(found[index], expected if bool(chosen[index]) else batch[index])


def test_the_ratio_of_erased_boxes_is_height_over_width_as_in_torchvision() -> None:
    erased, _ = Erasing(p=1.0, scale=(0.1, 0.1), ratio=(3.0, 3.0), value=2.0)(torch.zeros(50, 1, 30, 30), LABELS)
    rows, columns = (erased == 2).any(3).sum(2).flatten(), (erased == 2).any(2).sum(2).flatten()
    reference = tv.RandomErasing(scale=(0.1, 0.1), ratio=(3.0, 3.0)).make_params([torch.zeros(1, 30, 30)])
    assert (set(rows.tolist()), set(columns.tolist())) == ({reference["h"]}, {reference["w"]})


def test_noise_has_the_given_mean_and_standard_deviation() -> None:
    noisy, _ = Noise(mean=0.2, sigma=0.5)(torch.zeros(1000, 100), LABELS)
    assert float(noisy.mean()) == pytest.approx(0.2, abs=0.01)
    assert float(noisy.std()) == pytest.approx(0.5, abs=0.01)
    clipped, _ = Noise(mean=0.2, sigma=0.5, clip=True)(torch.zeros(1000, 100), LABELS)
    assert (float(clipped.min()), float(clipped.max())) == (0, 1)


@pytest.mark.parametrize(
    ("kind", "name", "amount"),
    [
        (0, "brightness", 1.7),
        (0, "brightness", 0.2),
        (1, "contrast", 1.7),
        (1, "contrast", 0.2),
        (2, "saturation", 1.7),
        (2, "saturation", 0.0),
        (3, "hue", 0.3),
        (3, "hue", -0.5),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_colour_changes_match_torchvision(kind: int, name: str, amount: float, channels: int) -> None:
    batch = images(channels)
    batch[0] = 0.4
    batch[1] = 0.0
    batch[2, :, :, :6] = 1.0
    found = jitter(batch, kind, torch.full((NUM, 1, 1, 1), amount))
    expected = getattr(tvf, f"adjust_{name}")(batch, amount)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_colours_change_within_the_ranges() -> None:
    grey = torch.full((500, 3, 2, 2), 0.5)
    changed, _ = ColorJitter(brightness=(0.8, 1.2))(grey, LABELS)
    factors = changed[:, 0, 0, 0] / 0.5
    assert 0.8 <= float(factors.min()) < 0.82
    assert 1.18 < float(factors.max()) <= 1.2
    assert torch.equal(ColorJitter()(grey, LABELS)[0], grey)


def soft(labels: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(labels, 3).float()


def test_mixup_matches_torchvision_for_the_same_share() -> None:
    batch = images()
    mixed, targets = Mixup(alpha=0.7, num_classes=3)(batch, LABELS)
    share = float(targets[1, 1])  # sample 1 has class 1, the previous one class 0
    expected = batch.roll(1, 0).mul(1 - share).add(batch.mul(share))
    torch.testing.assert_close(mixed, expected)
    torch.testing.assert_close(targets, soft(LABELS) * share + soft(LABELS).roll(1, 0) * (1 - share))
    torch.testing.assert_close(targets.sum(1), torch.ones(NUM))
    shares = [float(Mixup(alpha=0.2, num_classes=3)(batch, LABELS)[1][1, 1]) for _ in range(2000)]
    # Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1)).
    assert torch.tensor(shares).mean() == pytest.approx(0.5, abs=0.05)
    assert torch.tensor(shares).var() == pytest.approx(1 / 5.6, abs=0.02)


def test_cutmix_pastes_one_box_of_the_previous_image_and_mixes_by_area() -> None:
    batch = torch.arange(NUM).float().reshape(-1, 1, 1, 1).expand(-1, 3, HEIGHT, WIDTH)
    sizes = set()
    for _ in range(50):
        mixed, targets = Cutmix(num_classes=3)(batch, LABELS)
        inside = mixed != batch
        assert torch.equal(mixed, torch.where(inside, batch.roll(1, 0), batch))
        rows, columns = (
            inside[0, 0].any(1).nonzero().flatten().tolist(),
            inside[0, 0].any(0).nonzero().flatten().tolist(),
        )
        assert all(later - earlier == 1 for places in (rows, columns) for earlier, later in pairwise(places))
        assert torch.equal(inside, inside[:1, :1].expand_as(inside))
        area = len(rows) * len(columns)
        assert int(inside[0, 0].sum()) == area
        sizes.add(area)
        assert float(targets[1, 1]) == pytest.approx(1 - area / (HEIGHT * WIDTH), abs=1e-6)
    assert len(sizes) > 10


def test_mixing_accepts_mixed_targets() -> None:
    both = Augment([Mixup(num_classes=3), Cutmix(num_classes=3)])
    _, targets = both(images(), LABELS)
    torch.testing.assert_close(targets.sum(1), torch.ones(NUM))
    _, labels = Mixup(num_classes=2)(torch.rand(4, 5), torch.tensor([[0.0], [1.0], [0.0], [1.0]]))
    assert labels.shape == (4, 1)


def test_uint8_images_are_scaled_to_0_to_1_and_padding_stays_0() -> None:
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 1, 1, 3)
    assert Augment([])(pixels, LABELS)[0].flatten().tolist() == pytest.approx([0, 0.2, 1])
    noisy, _ = Augment([Noise()])(torch.zeros(2, 3, 4), LABELS, torch.tensor([1, 3]))
    assert bool((noisy[0, 1:] == 0).all())
    assert bool((noisy[1] != 0).all())
