"""Reads pretrained weights: state dicts that other programs saved with `torch.save` (.pt, .pth).

nnzoo does not write such files. torch's weights-only loader runs no code from a file, but it trusts the sizes in the
file. So the archive is checked before it is loaded, and the tensors afterwards.
"""

from __future__ import annotations

import warnings
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnzoo.errors import CheckpointError
from nnzoo.run.directory import older_checkpoint

SUFFIXES = (".pt", ".pth")
_MAX_STRUCTURE_BYTES = 32_000_000
"""Names and shapes of a network take kilobytes. In memory they may take a hundred times as much as in the file."""
_WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which training programs commonly store the state dict next to other entries."""
_PREFIXES = ("module.", "_orig_mod.")
"""Prefixes that DataParallel and torch.compile add to every name."""
_SAVE_AGAIN = "Save it again: torch.save(model.state_dict(), path)."


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Reads the weights of a state dict onto the CPU, in memory proportional to the size of the file.

    Args:
        path: The file. It holds a state dict, or a dict that has one under `state_dict`, `model_state_dict` or `model`.

    Raises:
        CheckpointError: The file is damaged, in an older format of torch, or not a state dict.
    """
    where = str(path)
    sizes = _check_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a file in another pickle protocol
            # Memory-mapped, so that no tensor can extend beyond the file.
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception:  # torch's loader raises many types of errors
        raise CheckpointError(
            f"not a state dict: it is damaged, or contains more than tensors. {_SAVE_AGAIN}", where=where
        ) from None
    if isinstance(content, dict) and content.get("format") == "nnzoo checkpoint":
        raise older_checkpoint(path)
    weights = _find_state_dict(content)
    if not weights:
        raise CheckpointError(f"not a state dict: it contains no named tensors. {_SAVE_AGAIN}", where=where)
    for name, tensor in weights.items():
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
            raise CheckpointError(f"{name[:80]!r} is not a plain tensor. {_SAVE_AGAIN}", where=where)
        if tensor.nbytes > tensor.untyped_storage().nbytes():
            raise CheckpointError(f"damaged: {name[:80]!r} is larger than its data in the file.", where=where)
    storages = {each.data_ptr(): each.nbytes() for each in (tensor.untyped_storage() for tensor in weights.values())}
    if Counter(size for size in storages.values() if size) - sizes:
        raise CheckpointError("damaged: the sizes of its tensors do not match the file.", where=where)
    return _without_prefix({name: tensor.detach().clone() for name, tensor in weights.items()})


def _check_archive(path: Path) -> Counter[int]:
    """Checks that a file is an intact, uncompressed archive in the format of torch.

    Returns:
        The number of storages of each size in bytes.

    Raises:
        CheckpointError: The file is not such an archive.
    """
    where = str(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            names = {entry.filename for entry in entries}
            is_stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
            if not is_stored or sum(entry.file_size for entry in entries) > size or len(names) < len(entries):
                raise CheckpointError(
                    f"not a state dict: its entries are compressed, larger than the file, or duplicated. {_SAVE_AGAIN}",
                    where=where,
                )
            structure = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
            file.seek(0)
            # torch would read a file that does not begin as a zip archive in an older format.
            if file.read(4) != b"PK\x03\x04" or len(structure) != 1:
                raise CheckpointError(f"not a state dict of torch.save. {_SAVE_AGAIN}", where=where)
            if damaged := archive.testzip():
                raise CheckpointError(f"damaged: the checksum of {damaged[:80]!r} is wrong.", where=where)
            # bytearray is the only object that lets torch's loader allocate any size from a few bytes.
            if structure[0].file_size > _MAX_STRUCTURE_BYTES or b"bytearray" in archive.read(structure[0]):
                raise CheckpointError(f"not a state dict: it contains more than tensors. {_SAVE_AGAIN}", where=where)
            folder = structure[0].filename.removesuffix(".pkl") + "/"
            return Counter(entry.file_size for entry in entries if entry.filename.startswith(folder))
    except OSError as error:
        raise CheckpointError(f"can't be read: {error.strerror}.", where=where) from None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OverflowError):
        raise CheckpointError(
            f"damaged, or in the format of torch before version 1.6. {_SAVE_AGAIN}", where=where
        ) from None


def _find_state_dict(content: Any) -> dict[str, Tensor]:
    """Returns the named tensors in the content of a file; empty if it is not a state dict."""
    if not isinstance(content, dict):
        return {}
    for key in _WRAPPERS:
        if isinstance(content.get(key), dict):
            return _find_state_dict(content[key])
    is_state_dict = all(isinstance(name, str) and isinstance(each, Tensor) for name, each in content.items())
    return dict(content) if is_state_dict else {}


def _without_prefix(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in weights):
            weights = {name.removeprefix(prefix): tensor for name, tensor in weights.items()}
    return weights
