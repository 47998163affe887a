"""Pretrained weights of torchvision: their files in the cache of torch.hub, and their preprocessing."""

from __future__ import annotations

import http.client
import sys
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import urlparse

import torch

from nnzoo.errors import UsageError

WHERE = "model.weights"


class WeightsPreprocessing(NamedTuple):
    """The preprocessing that weights of torchvision were trained with, for images with values in [0, 1].

    Attributes:
        mean: The mean of each channel, which is subtracted.
        std: The standard deviation of each channel, by which images are then divided.
        size: The height and width of the images.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: tuple[int, int]


def preprocessing_of(arch: str, name: str) -> WeightsPreprocessing:
    """Returns the preprocessing of weights.

    Args:
        arch: The name of the model in torchvision.
        name: The name of its weights, or DEFAULT.

    Raises:
        UsageError: There are no such weights.
    """
    transforms: Any = find_weights(arch, name).transforms()
    return WeightsPreprocessing(tuple(transforms.mean), tuple(transforms.std), (*transforms.crop_size * 2,)[:2])


def find_weights(arch: str, name: str) -> Any:
    """Returns the member of torchvision's enum of weights.

    Raises:
        UsageError: There are no such weights.
    """
    from torchvision import models

    known = models.get_model_weights(arch)
    names = [entry.name for entry in known]
    if name not in ("DEFAULT", *names):
        allowed = ", ".join(["DEFAULT", *names])
        raise UsageError(f"{arch} has no weights '{name}' (allowed {allowed}).", where=WHERE)
    return getattr(known, name)


def fetch_weights(arch: str, name: str) -> Path:
    """Returns the file of weights in the cache of torch.hub, and downloads it if it is not there.

    torch checks the hash of a downloaded file. The cache is the folder `hub/checkpoints` in `TORCH_HOME`, by default
    `~/.cache/torch`.

    Raises:
        UsageError: There are no such weights, or they can't be downloaded.
    """
    url = find_weights(arch, name).url
    file = PurePosixPath(urlparse(url).path)
    path = Path(torch.hub.get_dir()) / "checkpoints" / file.name
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shows_progress = sys.stderr.isatty()
        torch.hub.download_url_to_file(url, str(path), file.stem.rpartition("-")[2], progress=shows_progress)
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", error)
        reason = str(getattr(cause, "strerror", None) or cause).partition("\n")[0].rstrip(".")
        raise UsageError(
            f"the weights of {arch} are not in {path.parent} and can't be downloaded ({reason}). Download {url} on "
            "another machine and copy it there.",
            where=WHERE,
        ) from None
    return path


def check_weights(path: Path) -> None:
    """Checks that torch can read a file of weights without running code from it.

    Raises:
        UsageError: The file is damaged, or contains more than tensors.
    """
    try:
        torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch's loader raises many types of errors
        raise UsageError(
            f"{path} is damaged, or contains more than weights. Delete it: it is then downloaded again.", where=WHERE
        ) from None
