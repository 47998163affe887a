"""Decodes image files (JPEG, PNG and the other formats of Pillow) to (C, H, W) uint8 arrays of one size.

Formats that Pillow passes to external programs are not opened, so that a file can't run code. Images with too many
pixels are rejected, so that decoding can't exhaust the memory.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from nnzoo import log

if TYPE_CHECKING:
    from PIL import Image

T = TypeVar("T")
Channels = Literal[1, 3]
MAX_PIXELS = 2**27
"""Decoding a larger image would take more than 400 MB."""
_REFUSED = ("EPS", "PDF", "WMF", "MPEG", "HDF5", "GRIB", "BUFR", "FITS")
"""Formats that need external programs, or that Pillow can identify but not decode."""
_CHUNK = 256


class Probe(NamedTuple):
    """Properties of an image, from the header of its file.

    Attributes:
        height: Height after applying the EXIF orientation.
        width: Width after applying the EXIF orientation.
        is_grey: Whether the image is grayscale.
    """

    height: int
    width: int
    is_grey: bool


def suffixes() -> frozenset[str]:
    """Returns the suffixes of image files, in lower case."""
    from PIL import Image

    known = Image.registered_extensions()
    return frozenset(suffix for suffix, name in known.items() if name in Image.OPEN and name not in _REFUSED)


def decode(source: Path | IO[bytes], size: tuple[int, int], channels: Channels) -> NDArray[np.uint8]:
    """Decodes an image to (C, H, W) uint8.

    Reads the first frame, applies the EXIF orientation, composites transparent pixels onto white, converts 16 bits to
    8, then resizes bilinearly with antialiasing, without keeping the aspect ratio.

    Args:
        source: The file.
        size: (H, W).
        channels: 1 for grayscale, 3 for RGB.

    Raises:
        ValueError: The file is not an image, is damaged, or has too many pixels. The message is the reason.
    """
    height, width = size
    with _opened(source) as image:
        if image.format == "JPEG":
            # Large images are decoded at 1/2, 1/4 or 1/8 of their size, but to at least twice the target size.
            image.draft(None, (2 * max(size), 2 * max(size)))
        pixels = _to_uint8(_apply_orientation(image), channels)
        if pixels.size != (width, height):
            pixels = pixels.resize((width, height), _bilinear())
        array = np.array(pixels)
        return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))


def probe(path: Path) -> Probe | None:
    """Returns the properties of an image without decoding it; None if it can't be read."""
    try:
        with _opened(path) as image:
            width, height = image.size
            orientation = 1
            with contextlib.suppress(*_EXIF_DAMAGE):
                orientation = image.getexif().get(0x0112, 1)
            if orientation in (5, 6, 7, 8):
                width, height = height, width
            return Probe(height, width, _is_grey(image))
    except ValueError:
        return None


_EXIF_DAMAGE = (SyntaxError, TypeError, ValueError, KeyError, IndexError, struct.error)
"""Exceptions from damaged EXIF data. The image itself may be intact."""


@contextlib.contextmanager
def _opened(source: Path | IO[bytes]) -> Iterator[Image.Image]:
    """Opens an image. Every error while it is open becomes a ValueError with the reason."""
    from PIL import Image, UnidentifiedImageError

    try:
        if isinstance(source, Path) and not source.is_file():
            raise ValueError("it is not a regular file")  # reading a pipe could block forever
        Image.init()
        formats = [name for name in Image.OPEN if name not in _REFUSED]
        with Image.open(source, formats=formats) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"it has too many pixels (got {image.width} x {image.height})")
            yield image
    except UnidentifiedImageError:
        raise ValueError("it is not an image, or its header is damaged") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ValueError("it has too many pixels") from None
    except Exception as error:  # a decoder may raise anything on a damaged file
        raise ValueError(str(error).split("\n")[0].rstrip(".") or type(error).__name__) from error


def _bilinear() -> Any:
    from PIL import Image

    return Image.Resampling.BILINEAR


def _apply_orientation(image: Image.Image) -> Image.Image:
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except _EXIF_DAMAGE:
        image.load()
        return image


def _is_grey(image: Image.Image) -> bool:
    if image.mode in ("P", "PA"):
        palette = np.array(image.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
        return bool((palette == palette[:, :1]).all())
    return image.mode in ("1", "L", "LA", "La", "I", "F") or image.mode.startswith("I;16")


def _to_uint8(image: Image.Image, channels: Channels) -> Image.Image:
    """Converts an image to mode L or RGB."""
    from PIL import Image

    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        # Pillow's conversion would clip values above 255.
        values, most = np.asarray(image).astype(np.float64), 1.0 if image.mode == "F" else 65535.0
        if not (values.min() >= 0 and values.max() <= most):
            raise ValueError(
                f"its values are out of range (got {values.min():g} to {values.max():g}, expected 0 to {most:g})"
            )
        image = Image.fromarray((values * (255 / most)).round().astype(np.uint8))
    elif image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        if image.mode == "La":
            image = image.convert("LA")
        above = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", above.size, "white"), above).convert("RGB")
    return image.convert("L" if channels == 1 else "RGB")


def each_in_parallel(work: Callable[[Path], T], paths: Sequence[Path], *, title: str) -> Iterator[T]:
    """Yields the results of `work` on each file in order, with one thread per core and a progress bar."""
    from PIL import Image
    from tqdm import tqdm

    Image.init()  # before the threads start: it imports the decoders
    quiet = not log.shows_progress()
    with warnings.catch_warnings(), ThreadPoolExecutor(_num_threads()) as pool:
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with tqdm(total=len(paths), desc=title, disable=quiet, leave=False, file=sys.stderr, mininterval=0.2) as bar:
            # In chunks: decoded images that are not consumed yet would fill the memory.
            for start in range(0, len(paths), _CHUNK):
                for result in pool.map(work, paths[start : start + _CHUNK]):
                    yield result
                    bar.update()


def _num_threads() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 16)
