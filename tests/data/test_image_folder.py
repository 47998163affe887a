"""Tests of image folders: classes, splits, image formats, broken files and the cache."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nnzoo.data import Dataset, Division, load_image_folder
from nnzoo.data.images import cache as image_cache
from nnzoo.data.images.decode import decode
from nnzoo.errors import DataError, RunError

RNG = np.random.default_rng(0)
HALF = Division(val=0.25, test=0.25)


def picture(height: int = 8, width: int = 8, channels: int = 3) -> Image.Image:
    pixels = RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels if channels == 3 else pixels[:, :, 0])


def fill(folder: Path, counts: dict[str, int], **size: int) -> None:
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            picture(**size).save(folder / name / f"{index:02}.png")


def sizes(dataset: Dataset) -> dict[str, int]:
    return {name: len(split) for name, split in dataset.splits.items()}


def test_folders_are_classes_and_are_divided_in_proportion(tmp_path: Path) -> None:
    fill(tmp_path, {"cats": 8, "dogs": 16})
    dataset = load_image_folder(path=tmp_path, division=HALF)
    assert dataset.classes == ("cats", "dogs")
    assert sizes(dataset) == {"train": 12, "val": 6, "test": 6}
    assert {name: split.targets.bincount().tolist() for name, split in dataset.splits.items()} == {
        "train": [4, 8],
        "val": [2, 4],
        "test": [2, 4],
    }
    assert dataset.train.inputs.dtype == torch.uint8
    assert dataset.choices == {"size": (8, 8), "channels": 3, "cache": "memory"}
    with Image.open(tmp_path / "cats/00.png") as image:
        first = torch.tensor(np.array(image)).permute(2, 0, 1)
    everything = torch.cat([split.inputs for split in dataset.splits.values()])
    assert sum(torch.equal(each, first) for each in everything) == 1


def test_numbers_are_sorted_as_numbers(tmp_path: Path) -> None:
    fill(tmp_path, {"10": 1, "9": 1, "2": 1})
    assert load_image_folder(path=tmp_path).classes == ("2", "9", "10")


def test_split_folders_are_used(tmp_path: Path) -> None:
    fill(tmp_path / "x/Train", {"a": 4, "b": 4})
    fill(tmp_path / "x/valid", {"b": 1})
    dataset = load_image_folder(path=tmp_path / "x", division=HALF)
    assert sizes(dataset) == {"train": 6, "val": 1, "test": 2}
    assert dataset.splits["val"].targets.tolist() == [1]
    fill(tmp_path / "more/a", {"deep": 3})
    dataset = load_image_folder(path=tmp_path / "x", test_path=tmp_path / "more", division=HALF)
    assert sizes(dataset) == {"train": 8, "val": 1, "test": 3}


def test_a_class_can_be_named_train(tmp_path: Path) -> None:
    fill(tmp_path, {"train": 2, "bus": 2})
    assert load_image_folder(path=tmp_path).classes == ("bus", "train")


def test_a_pattern_of_class_folders(tmp_path: Path) -> None:
    fill(tmp_path, {"one/cats": 2, "two/cats": 1, "two/dogs": 3})
    dataset = load_image_folder(path=tmp_path / "*/*")
    assert dataset.classes == ("cats", "dogs")
    assert dataset.train.targets.tolist() == [0, 0, 0, 1, 1, 1]


def test_deduplicate_drops_equal_files_of_a_class(tmp_path: Path) -> None:
    fill(tmp_path, {"cats": 4, "dogs": 4})
    copied = (tmp_path / "cats/00.png").read_bytes()
    for place in ("cats/04.png", "cats/05.png", "dogs/04.png"):
        (tmp_path / place).write_bytes(copied)
    for row in range(2):
        (tmp_path / f"dogs/broken{row}.png").symlink_to(tmp_path / "nowhere.png")
    dataset = load_image_folder(path=tmp_path, division=Division(val=0, test=0, deduplicate=True))
    assert [Path(name).name for name in dataset.sample_names[:4]] == ["00.png", "01.png", "02.png", "03.png"]
    assert len(dataset.train) == 9
    assert dataset.notes == ("deduplicate: dropped 2 of 13 samples, each equal to an earlier one",)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_is_not_an_image(tmp_path: Path) -> None:
    fill(tmp_path, {"cats": 4, "dogs": 4})
    os.mkfifo(tmp_path / "cats/pipe.png")
    dataset = load_image_folder(path=tmp_path)
    assert len(dataset.train) == 8
    assert "pipe.png: it is not a regular file" in dataset.warnings[0]


def test_limit_takes_from_every_class(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 9, "b": 9, "c": 1})
    assert load_image_folder(path=tmp_path, limit=7).train.targets.tolist() == [0, 0, 0, 1, 1, 1, 2]


@pytest.mark.parametrize(
    ("make", "where", "message"),
    [
        (lambda path: None, "photos", "there is no such folder"),
        (lambda path: path.mkdir(), "photos", "has no class folders"),
        (lambda path: fill(path, {".": 3}), "photos", "has no class folders"),
        (lambda path: (path / "a").mkdir(parents=True), "photos", "has no images in its class folders"),
        (lambda path: fill(path, {"a": 3}), "photos", "has images of only one class (got a, expected at"),
        (
            lambda path: fill(path, {"train/a": 1, "train/b": 1, "val/c": 1}),
            "photos/val/c",
            "is not a class of the train",
        ),
        (lambda path: fill(path, {"train/a": 1, "train/b": 1, "docs": 1}), "photos", "(got docs)"),
        (lambda path: fill(path, {"train/a": 1, "train/b": 1, "val/a": 1, "valid/a": 1}), "photos", "two val splits"),
        (lambda path: path.write_text("x"), "photos", "is a file; expected a folder"),
    ],
)
def test_folders_that_cannot_be_used_are_named(
    make: Callable[[Path], Any], where: str, message: str, tmp_path: Path
) -> None:
    make(tmp_path / "photos")
    with pytest.raises(DataError) as caught:
        load_image_folder(path=tmp_path / "photos", division=Division())
    assert caught.value.where == str(tmp_path / where)
    assert message in str(caught.value)


def test_the_same_split_twice_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "x", {"train/a": 2, "train/b": 2, "val/a": 1})
    fill(tmp_path / "y", {"a": 1, "b": 1})
    with pytest.raises(DataError, match=r"has a val split \(got val\), but val_path also gives one"):
        load_image_folder(path=tmp_path / "x", val_path=tmp_path / "y")


@pytest.mark.parametrize(
    ("made", "chosen"),
    [
        ([(20, 30)] * 3 + [(500, 10)], (20, 30)),
        ([(300, 300)] * 3, (128, 128)),
        ([(70, 90), (80, 300), (100, 100)], (64, 64)),
        ([(5, 5), (6, 6)], (32, 32)),
    ],
)
def test_auto_size(made: list[tuple[int, int]], chosen: tuple[int, int], tmp_path: Path) -> None:
    for index, (height, width) in enumerate(made * 2):
        (tmp_path / str(index % 2)).mkdir(exist_ok=True)
        picture(height, width).save(tmp_path / str(index % 2) / f"{index}.png")
    assert load_image_folder(path=tmp_path).input_shape == (3, *chosen)


def test_auto_channels_is_1_if_all_images_are_grey(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 2, "b": 2}, channels=1)
    Image.fromarray(np.full((8, 8), 40_000, dtype=np.uint16)).save(tmp_path / "a/16bit.png")
    picture(channels=1).convert("LA").save(tmp_path / "a/alpha.png")
    picture(channels=1).convert("P").save(tmp_path / "b/palette.png")
    assert load_image_folder(path=tmp_path).input_shape == (1, 8, 8)
    assert load_image_folder(path=tmp_path, channels=3).input_shape == (3, 8, 8)
    picture().convert("P").save(tmp_path / "b/colours.png")
    assert load_image_folder(path=tmp_path).input_shape == (3, 8, 8)
    assert load_image_folder(path=tmp_path, channels=1, size=5).input_shape == (1, 5, 5)


def saved(image: Image.Image, kind: str, **options: Any) -> io.BytesIO:
    raw = io.BytesIO()
    image.save(raw, kind, **options)
    raw.seek(0)
    return raw


GREY_RAMP = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "PPM", "TGA", "JPEG2000"])
def test_lossless_formats_are_decoded_exactly(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    found = decode(saved(Image.fromarray(GREY_RAMP), kind, **options), (8, 8), 1)
    assert np.array_equal(found[0], GREY_RAMP)


def test_a_jpeg_is_close_to_its_pixels() -> None:
    found = decode(saved(Image.fromarray(GREY_RAMP), "JPEG", quality=95), (8, 8), 1)
    assert np.abs(found[0].astype(int) - GREY_RAMP).max() < 12


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(orientation: int) -> None:
    upright = np.zeros((6, 10), dtype=np.uint8)
    upright[0, :] = 200
    upright[:, 0] = 100
    # The stored pixels: the inverse of the transform that the EXIF standard defines for viewers.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    raw = saved(Image.fromarray(np.ascontiguousarray(stored)), "PNG", exif=exif)
    assert np.array_equal(decode(raw, (6, 10), 1)[0], upright)


def test_transparent_pixels_are_composited_onto_white() -> None:
    pixels = np.zeros((2, 2, 4), dtype=np.uint8)
    pixels[0, 0] = (255, 0, 0, 255)
    pixels[0, 1] = (0, 0, 0, 128)
    found = decode(saved(Image.fromarray(pixels), "PNG"), (2, 2), 3)
    assert found[:, 0, 0].tolist() == [255, 0, 0]
    assert found[:, 0, 1].tolist() == [127] * 3
    assert found[:, 1, 1].tolist() == [255] * 3
    palette = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), "L").convert("P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    shown = decode(saved(palette, "PNG", transparency=1), (1, 2), 3)
    assert shown[:, 0].T.tolist() == [[10, 20, 30], [255, 255, 255]]


def test_16_bit_images_are_converted_to_8_bits() -> None:
    deep = np.array([[0, 257, 32_768, 65_535]], dtype=np.uint16)
    for kind in ("PNG", "TIFF"):
        assert decode(saved(Image.fromarray(deep), kind), (1, 4), 1)[0].tolist() == [[0, 1, 128, 255]]
    shares = np.array([[0.0, 0.5, 1.0]], dtype=np.float32)
    assert decode(saved(Image.fromarray(shares), "TIFF"), (1, 3), 3)[0].tolist() == [[0, 128, 255]]
    with pytest.raises(ValueError, match=r"its values are out of range \(got 0 to 2, expected 0 to 1\)"):
        decode(saved(Image.fromarray(shares * 2), "TIFF"), (1, 3), 1)


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "CMYK", "YCbCr"])
def test_other_modes_are_converted_as_pillow_does(mode: str) -> None:
    image = picture().convert(mode)
    kind = "PNG" if mode in ("1", "L", "RGB") else "TIFF"
    for channels, to in ((1, "L"), (3, "RGB")):
        found = decode(saved(image, kind), (8, 8), channels)  # type: ignore[arg-type]
        assert np.array_equal(
            found.squeeze(),
            np.array(image.convert(to)).transpose(2, 0, 1) if channels == 3 else np.array(image.convert(to)),
        )


def test_images_are_resized_as_pillow_does() -> None:
    image = picture(40, 30)
    expected = np.array(image.resize((9, 7), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert np.array_equal(decode(saved(image, "PNG"), (7, 9), 3), expected)


def test_a_large_jpeg_is_close_to_its_full_decoding() -> None:
    smooth = Image.fromarray(
        np.add.outer(np.arange(640), np.arange(800)).astype(np.float64).__mod__(256).astype(np.uint8)
    )
    smooth = smooth.resize((100, 80), Image.Resampling.BILINEAR).resize((800, 640), Image.Resampling.BILINEAR)
    found = decode(saved(smooth, "JPEG", quality=95), (20, 25), 1)[0].astype(int)
    assert np.abs(found - np.array(smooth.resize((25, 20), Image.Resampling.BILINEAR))).max() < 16


def spoil(folder: Path) -> None:
    """Writes eight valid images and three that are broken in different ways."""
    fill(folder, {"a": 4, "b": 4}, height=32, width=32)
    (folder / "a/empty.png").write_bytes(b"")
    whole = (folder / "a/00.png").read_bytes()
    (folder / "a/cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "b/text.jpg").write_text("no image")
    (folder / "b/notes.txt").write_text("not even called so")
    (folder / "b/.hidden.png").write_bytes(b"")


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_broken_files_are_named_and_left_out(cache: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    spoil(tmp_path / "x")
    dataset = load_image_folder(path=tmp_path / "x", cache=cache)
    assert dataset.train.targets.tolist() == [0] * 4 + [1] * 4
    assert len(dataset.train.inputs) == 8
    notes, line = dataset.warnings
    assert "1 file that is not an image was left out" in notes
    assert "b/notes.txt" in notes
    assert "3 of 11 images of the train split can't be read and are left out" in line
    assert all(
        name in line for name in ("a/empty.png: it is not an image", "a/cut.png: ", "b/text.jpg: it is not an image")
    )
    assert "notes" not in line


def test_strict_refuses_broken_files(tmp_path: Path) -> None:
    spoil(tmp_path)
    with pytest.raises(DataError, match=r"3 of 11 images of the train split can't be read: .*a/cut.png: "):
        load_image_folder(path=tmp_path, strict=True)
    for name in ("a/empty.png", "a/cut.png", "b/text.jpg"):
        (tmp_path / name).unlink()
    with pytest.raises(DataError, match=r"1 file that is not an image was left out \(.*notes.txt\).*`strict`"):
        load_image_folder(path=tmp_path, strict=True)
    (tmp_path / "b/notes.txt").unlink()
    assert load_image_folder(path=tmp_path, strict=True).warnings == ()


def link(path: Path, target: Path) -> None:
    path.symlink_to(target, target_is_directory=target.is_dir())


def test_linked_files_and_folders_are_used(tmp_path: Path) -> None:
    fill(tmp_path / "p", {"cat": 3, "dog": 3})
    fill(tmp_path, {"more cats": 4, "ants": 2})
    link(tmp_path / "p/cat/more", tmp_path / "more cats")
    link(tmp_path / "p/ant", tmp_path / "ants")
    link(tmp_path / "p/dog/one.png", tmp_path / "more cats/00.png")
    dataset = load_image_folder(path=tmp_path / "p")
    assert dataset.classes == ("ant", "cat", "dog")
    assert dataset.train.targets.bincount().tolist() == [2, 7, 4]
    assert dataset.warnings == ()


def test_circular_links_are_not_followed(tmp_path: Path) -> None:
    fill(tmp_path, {"cat/deep": 2, "dog": 2})
    link(tmp_path / "cat/deep/up", tmp_path / "cat")
    link(tmp_path / "dog/all", tmp_path)
    link(tmp_path / "dog/itself", tmp_path / "dog/itself")
    dataset = load_image_folder(path=tmp_path)
    assert dataset.train.targets.tolist() == [0, 0, 1, 1]
    assert dataset.warnings[0].startswith("2 links to a folder that is already included were left out (first: ")


def test_class_folders_without_images_are_left_out(tmp_path: Path) -> None:
    fill(tmp_path, {"ant": 0, "bee": 2, "cat": 2, "train": 0})
    (tmp_path / "eel").mkdir()
    dataset = load_image_folder(path=tmp_path)
    assert dataset.classes == ("bee", "cat")
    (warning,) = dataset.warnings
    assert warning.startswith(f"3 class folders without images were left out (first: {tmp_path / 'ant'})")
    with pytest.raises(DataError, match=r"3 class folders without images.*`strict`"):
        load_image_folder(path=tmp_path, strict=True)


def test_images_without_a_suffix_are_recognised_by_content(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 3, "b": 3})
    for path in (tmp_path / "a").iterdir():
        path.rename(path.with_suffix(""))
    (tmp_path / "b/LICENSE").write_text("no image")
    dataset = load_image_folder(path=tmp_path)
    assert dataset.train.targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert "b/LICENSE" in dataset.warnings[0]


def test_images_outside_of_class_folders_are_counted(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 2, "b": 2, ".": 3})
    (warning,) = load_image_folder(path=tmp_path).warnings
    assert warning.startswith("3 images outside the class folders were left out (first: ")


def test_classes_and_images_are_in_natural_order(tmp_path: Path) -> None:
    fill(tmp_path, {"week 10": 1, "week 2": 1, "week 1": 12})
    (tmp_path / "week 1/00.png").rename(tmp_path / "week 1/100.png")
    dataset = load_image_folder(path=tmp_path)
    assert dataset.classes == ("week 1", "week 2", "week 10")
    names = [Path(name).stem for name in dataset.sample_names[:12]]
    assert names == [*(f"{row:02}" for row in range(1, 12)), "100"]


def test_a_class_with_only_broken_files_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 2, "b": 2})
    for path in (tmp_path / "b").iterdir():
        path.write_bytes(b"x")
    with pytest.raises(DataError, match="no training image of b can be read"):
        load_image_folder(path=tmp_path)


def test_decompression_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, {"a": 2, "b": 2})
    # 14 kilobytes that would decompress to 225 million pixels; and an image above MAX_PIXELS.
    Image.new("1", (15_000, 15_000)).save(tmp_path / "a/bomb.png")
    with pytest.raises(DataError, match=r"a/bomb\.png: it has too many pixels"):
        load_image_folder(path=tmp_path, strict=True)
    (tmp_path / "a/bomb.png").unlink()
    monkeypatch.setattr("nnzoo.data.images.decode.MAX_PIXELS", 63)
    with pytest.raises(DataError, match=r"a/00\.png: it has too many pixels \(got 8 x 8\)"):
        load_image_folder(path=tmp_path, size=8, channels=3, strict=True)


def test_postscript_is_never_opened(tmp_path: Path) -> None:
    """Pillow would pass it to an external program."""
    fill(tmp_path, {"a": 2, "b": 2})
    picture().save(tmp_path / "a/drawing.eps")
    picture().save(tmp_path / "a/called.png", "EPS")
    with pytest.raises(DataError, match=r"1 of 5 images .*called\.png: it is not an image"):
        load_image_folder(path=tmp_path, strict=True)


def test_the_disk_cache_equals_memory_and_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fill(tmp_path / "x", {"a": 4, "b": 4})
    kept = load_image_folder(path=tmp_path / "x", division=HALF)
    first = load_image_folder(path=tmp_path / "x", division=HALF, cache="disk")
    files = sorted((tmp_path / "cache/nnzoo/images").iterdir())
    assert [path.suffix for path in files] == [".json", ".u8"] * 3
    for name in kept.splits:
        assert torch.equal(first.splits[name].inputs[:], kept.splits[name].inputs)

    def never(*_: Any) -> Any:
        raise AssertionError("decoded again")

    with monkeypatch.context() as patched:
        patched.setattr(image_cache, "decode", never)
        again = load_image_folder(path=tmp_path / "x", division=HALF, cache="disk")
    assert torch.equal(again.train.inputs[:], kept.train.inputs)
    for path in files:
        if path.suffix == ".u8":
            os.truncate(path, 10)
    anew = load_image_folder(path=tmp_path / "x", division=HALF, cache="disk")
    assert torch.equal(anew.train.inputs[:], kept.train.inputs)
    picture().save(tmp_path / "x/a/00.png")
    os.utime(tmp_path / "x/a/00.png", (1, 1))
    changed = load_image_folder(path=tmp_path / "x", division=HALF, cache="disk")
    assert sizes(changed) == sizes(kept)
    assert not all(torch.equal(changed.splits[name].inputs[:], kept.splits[name].inputs) for name in kept.splits)


def test_large_data_is_cached_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(image_cache, "LARGEST_IN_MEMORY", 8 * 8 * 8 * 3)
    fill(tmp_path / "x", {"a": 4, "b": 3})
    assert load_image_folder(path=tmp_path / "x").choices["cache"] == "memory"
    fill(tmp_path / "x", {"a": 4, "b": 4})
    assert load_image_folder(path=tmp_path / "x").choices["cache"] == "disk"


def test_a_cache_that_cannot_be_written_is_a_run_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fill(tmp_path / "x", {"a": 1, "b": 1})
    with pytest.raises(RunError, match="can't be written: Not a directory"):
        load_image_folder(path=tmp_path / "x", cache="disk")
