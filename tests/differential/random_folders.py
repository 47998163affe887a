"""Random image folders with one folder per class."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

CLASSES = ("week 10", "week 2", "Cat", "dog", "große Katze", "1")


@dataclass(frozen=True)
class FolderPlan:
    """An image folder.

    Attributes:
        seed: The seed of the pixels.
        per_class: Images per class.
        num_classes: K.
        grey: Whether images are grayscale.
        suffix: The suffix of the files.
        nested: Whether some images are in a subfolder of the class folder.
        linked: Whether the subfolder is a symbolic link.
        empty_class: Whether there is a class folder without images.
        litter: Whether there are files that are not images.
        broken: Whether there is an image that can't be decoded.
        repeated: Whether some files are copies.
        deduplicate: Whether copies are dropped.
    """

    seed: int
    per_class: int
    num_classes: int
    grey: bool
    suffix: str
    nested: bool
    linked: bool
    empty_class: bool
    litter: bool
    broken: bool
    repeated: bool
    deduplicate: bool


def folders() -> st.SearchStrategy[FolderPlan]:
    """Returns a strategy for image folders."""
    return st.builds(
        FolderPlan,
        seed=st.integers(0, 2**32 - 1),
        per_class=st.integers(8, 14),
        num_classes=st.integers(2, 5),
        grey=st.booleans(),
        suffix=st.sampled_from([".png", ".PNG", ".bmp"]),
        nested=st.booleans(),
        linked=st.booleans(),
        empty_class=st.booleans(),
        litter=st.booleans(),
        broken=st.booleans(),
        repeated=st.booleans(),
        deduplicate=st.booleans(),
    )


@dataclass
class WrittenFolder:
    """Images on disk.

    Attributes:
        plan: The plan.
        path: The folder.
        labels: The class by path of readable images.
        pixels: (H, W) or (H, W, 3) uint8 by path.
        broken: The paths that can't be decoded.
    """

    plan: FolderPlan
    path: Path
    labels: dict[str, str] = field(default_factory=dict)
    pixels: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


def write_folder(plan: FolderPlan, folder: Path) -> WrittenFolder:
    """Writes images into an empty folder."""
    random, path = Random(plan.seed), folder / "images"
    numbers = np.random.default_rng(plan.seed)
    written = WrittenFolder(plan, path)
    for name in CLASSES[: plan.num_classes]:
        own = path / name
        own.mkdir(parents=True)
        below = own / "more"
        if plan.linked:
            (folder / "elsewhere" / name).mkdir(parents=True)
            below.symlink_to(folder / "elsewhere" / name)
        elif plan.nested:
            below.mkdir()
        for index in range(plan.per_class):
            place = below if (plan.nested or plan.linked) and index % 3 == 0 else own
            file = place / f"{random.choice('xyz')}{index}{plan.suffix}"
            shape = (6, 5) if plan.grey else (6, 5, 3)
            pixels = numbers.integers(256, size=shape, dtype=np.uint8)
            if plan.repeated and index % 4 == 1:
                pixels = list(written.pixels.values())[-1]
            Image.fromarray(pixels).save(file)
            written.labels[str(file)], written.pixels[str(file)] = name, pixels
        if plan.litter:
            (own / "Thumbs.db").write_bytes(b"\0\1")
            (own / ".DS_Store").write_bytes(b"\0\1")
            (own / "notes.txt").write_text("of the camera")
    if plan.broken:
        file = path / CLASSES[0] / f"broken{plan.suffix}"
        file.write_bytes(b"no image")
        written.broken.append(str(file))
    if plan.empty_class:
        (path / "nothing").mkdir()
    return written
