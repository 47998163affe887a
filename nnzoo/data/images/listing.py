"""Finds image files in folders and in class folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from nnzoo.data.files.find import in_natural_order, is_hidden, natural_key
from nnzoo.data.files.repairs import Repair, Repairs
from nnzoo.data.images.decode import suffixes
from nnzoo.errors import DataError

_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")

NOT_IMAGES = Repair("file", "that is not an image", "left out", "Remove it, or add its missing suffix.")
OUTSIDE_CLASSES = Repair(
    "image", "outside the class folders", "left out", "Move it into the folder of its class, or remove it."
)
CIRCULAR_LINKS = Repair("link", "to a folder that is already included", "left out", "Remove it.")
EMPTY_CLASSES = Repair("class folder", "without images", "left out", "Fill it, or remove it.")


def list_images(folder: Path, repairs: Repairs | None = None) -> list[Path]:
    """Returns the image files in a folder and its subfolders, in natural order.

    Links are followed, and hidden files are skipped. Images are recognized by their suffix or, for files without a
    suffix, by their first bytes.

    Args:
        folder: The folder; may be a link.
        repairs: Counts the other files.
    """
    repairs = Repairs() if repairs is None else repairs
    kinds = suffixes()
    real = folder.resolve()
    images = []
    for place, names in _walk(folder, {real, *real.parents}, repairs):
        others = []
        for name in names:
            suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122  # a Path per file takes three times as long
            file = Path(place, name)
            if suffix in kinds or (not suffix and _begins_like_an_image(file)):
                images.append(file)
            elif not is_hidden(file):
                others.append(file)
        repairs.add(NOT_IMAGES, str(min(others, default="")), len(others))
    return in_natural_order(images)


def _walk(folder: Path, known: set[Path], repairs: Repairs) -> Iterator[tuple[str, list[str]]]:
    """Yields every subfolder with its file names. Links to a folder that is already included are not followed."""
    for place, folders, files in os.walk(folder, followlinks=True):
        kept = []
        for name in sorted(folders, key=natural_key):
            below = Path(place, name)
            if is_hidden(below):
                continue
            real = below.resolve()
            if below.is_symlink() and real in known:
                repairs.add(CIRCULAR_LINKS, str(below))
                continue
            known.add(real)
            kept.append(name)
        folders[:] = kept
        yield place, [name for name in files if not name.startswith(".")]


def _begins_like_an_image(path: Path) -> bool:
    try:
        if not path.is_file():  # reading a pipe could block forever
            return False
        with path.open("rb") as file:
            return file.read(8).startswith(_SIGNATURES)
    except OSError:
        return False


def class_folders(path: Path) -> dict[str, list[Path]]:
    """Returns the subfolders of a folder, or the folders that match a glob pattern, by name in natural order.

    Raises:
        DataError: There is no such folder.
    """
    if path.is_dir():
        entries = list(path.iterdir())
    else:
        root = Path(path.anchor)
        entries = [] if path.exists() else list(root.glob(str(path.relative_to(root))))
        if not entries:
            problem = "is a file; expected a folder" if path.exists() else "there is no such folder. Check the path"
            raise DataError(f"{problem}.", where=str(path))
    folders: dict[str, list[Path]] = {}
    for folder in in_natural_order(entries):
        if folder.is_dir() and not is_hidden(folder):
            folders.setdefault(folder.name, []).append(folder)
    return {name: folders[name] for name in sorted(folders, key=natural_key)}


def images_by_class(path: Path, repairs: Repairs) -> dict[str, list[Path]]:
    """Returns the images of each class folder that is not empty. Other files are counted in `repairs`.

    Raises:
        DataError: There is no such folder, or no class folder in it.
    """
    folders = class_folders(path)
    if not folders:
        raise DataError(
            "has no class folders. Put the images of each class into a folder named after the class.", where=str(path)
        )
    images = {name: [file for each in same for file in list_images(each, repairs)] for name, same in folders.items()}
    if any(images.values()):
        for name, files in images.items():
            repairs.add(EMPTY_CLASSES, str(folders[name][0]), not files)
    if path.is_dir():
        outside = [each for each in in_natural_order(list(path.iterdir())) if each.suffix.lower() in suffixes()]
        outside = [each for each in outside if each.is_file() and not is_hidden(each)]
        repairs.add(OUTSIDE_CLASSES, str(outside[0]) if outside else "", len(outside))
    return {name: files for name, files in images.items() if files}
