"""State dicts of other programs, and invalid files."""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nnzoo.errors import CheckpointError
from nnzoo.run.torch_file import read_state_dict


class Planted:
    """Creates a folder when it is unpickled."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.folder,)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def saved(value: Any, name: str = "x.pt", **options: Any) -> Path:
    torch.save(value, name, **options)
    return Path(name)


def repack(path: Path, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> None:
    """Rewrites an archive with correct checksums."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, change(name, content))


def with_structure(path: Path, pickled: bytes) -> None:
    repack(path, lambda name, content: pickled if name.endswith("data.pkl") else content)


NETWORK = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
WEIGHTS = NETWORK.state_dict()


@pytest.mark.parametrize(
    "content",
    [
        WEIGHTS,
        dict(WEIGHTS),
        {"state_dict": WEIGHTS, "epoch": 3, "hyper_parameters": {"lr": 0.1}},
        {"model_state_dict": WEIGHTS, "optimizer_state_dict": torch.optim.Adam(NETWORK.parameters()).state_dict()},
        {"model": WEIGHTS, "args": None},
        OrderedDict((f"module.{name}", tensor) for name, tensor in WEIGHTS.items()),
        {"state_dict": {f"_orig_mod.{name}": tensor for name, tensor in WEIGHTS.items()}},
        dict(NETWORK.named_parameters()) | dict(NETWORK.named_buffers()),
    ],
)
def test_a_state_dict_is_found_in_all_common_formats(content: Any) -> None:
    found = read_state_dict(saved(content))
    assert found.keys() == WEIGHTS.keys()
    assert all(found[name].equal(tensor) and not found[name].requires_grad for name, tensor in WEIGHTS.items())


def test_views_transposed_and_tied_tensors_are_read() -> None:
    base = torch.arange(12.0).reshape(3, 4)
    content = {"a": base, "b": base, "t": base.T, "row": base[1], "half": base.half(), "flag": torch.tensor(True)}
    found = read_state_dict(saved(content))
    assert all(found[name].equal(tensor) and found[name].dtype == tensor.dtype for name, tensor in content.items())


@pytest.mark.parametrize(
    "content",
    [
        [torch.ones(3)],
        torch.ones(3),
        {},
        {"epoch": 1},
        {"state_dict": {"w": "text"}},
        {"a": torch.ones(2), "b": {"c": torch.ones(2)}},
        {1: torch.ones(2)},
        NETWORK,
        {"state_dict": NETWORK},
        {"a": torch.eye(3).to_sparse()},
        {"a": torch.ones(2, device="meta")},
    ],
    ids=lambda value: type(value).__name__,
)
def test_files_without_a_state_dict_are_errors_with_a_fix(content: Any) -> None:
    with pytest.raises(CheckpointError, match=r"^x\.pt: .*torch\.save\(model\.state_dict\(\), path\)\.$"):
        read_state_dict(saved(content))


def test_older_formats_are_errors_with_a_fix() -> None:
    with pytest.raises(CheckpointError, match=r"the format of torch before version 1\.6"):
        read_state_dict(saved(WEIGHTS, _use_new_zipfile_serialization=False))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), "x.pt")
    with pytest.raises(CheckpointError, match="Save it again"):
        read_state_dict(Path("x.pt"))
    with pytest.raises(CheckpointError, match="a checkpoint of an older nnzoo"):
        read_state_dict(saved({"format": "nnzoo checkpoint", "version": 2, "model": WEIGHTS}))


def test_code_in_a_file_is_not_run() -> None:
    path = saved(WEIGHTS)
    for protocol in (2, 4):
        with_structure(path, pickle.dumps(Planted("planted"), protocol))
        with pytest.raises(CheckpointError, match="contains more than tensors"):
            read_state_dict(path)
    whole = saved(WEIGHTS).read_bytes()
    # The type of such a file depends on whether its start or its end is read.
    for content in (pickle.dumps(Planted("planted")), pickle.dumps(Planted("planted")) + whole):
        path.write_bytes(content)
        with pytest.raises(CheckpointError):
            read_state_dict(path)
    assert not Path("planted").exists()


def test_a_bytearray_is_an_error() -> None:
    path = saved(WEIGHTS)
    with_structure(path, b"\x80\x02c__builtin__\nbytearray\nJ\x00\x94\x35\x77\x85R.")
    with pytest.raises(CheckpointError, match="contains more than tensors"):
        read_state_dict(path)


SIZE, STRIDE = b"K\x4d\x85", b"K\x01\x85"
CLAIMS = {
    "numbers of the storage": (b"q\x06K\x4d", b"q\x06M\xff\xff"),
    "numbers of the tensor": (SIZE + b"q", b"\x8a\x05\x00\x00\x00\x00\x01\x85q"),
    "one number again and again": (SIZE + b"q\x08" + STRIDE, b"\x8a\x05\x00\x00\x00\x00\x01\x85q\x08K\x00\x85"),
    "larger numbers": (b"FloatStorage", b"DoubleStorage"),
    "unknown numbers": (b"FloatStorage", b"NoStorage"),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_tensor_larger_than_its_data_is_an_error(claim: str) -> None:
    old, new = CLAIMS[claim]
    path = saved({"w": torch.ones(77)})

    def change(name: str, content: bytes) -> bytes:
        assert not name.endswith("data.pkl") or content.count(old) == 1
        return content.replace(old, new) if name.endswith("data.pkl") else content

    repack(path, change)
    with pytest.raises(CheckpointError, match=r"larger than its data|do not match the file|contains more than tensors"):
        read_state_dict(path)


def test_an_archive_larger_than_its_file_is_an_error() -> None:
    path = saved(WEIGHTS)
    repack(path, lambda name, content: bytes(10_000_000) if "/data/" in name else content, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    with pytest.raises(CheckpointError, match="compressed"):
        read_state_dict(path)
    with zipfile.ZipFile(saved(WEIGHTS), "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(archive.namelist()[0], b"")
    with pytest.raises(CheckpointError, match="duplicated"):
        read_state_dict(path)


def test_no_flipped_bit_changes_weights_silently() -> None:
    whole, rng, path, refused = saved(WEIGHTS).read_bytes(), random.Random(0), Path("y.pt"), 0
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            found: dict[str, Tensor] = read_state_dict(path)
        except CheckpointError:
            refused += 1
        else:  # the bit was padding between entries
            assert all(found[name].equal(tensor) for name, tensor in WEIGHTS.items())
    assert refused > 50


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.9999])
def test_a_truncated_file_is_damaged(share: float) -> None:
    path = saved(WEIGHTS)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(CheckpointError, match="damaged"):
        read_state_dict(path)


def test_a_file_that_can_not_be_opened_is_an_error() -> None:
    Path("folder.pt").mkdir()
    for name, reason in (("folder.pt", "Is a directory"), ("missing.pt", "No such file")):
        with pytest.raises(CheckpointError, match=f"can't be read: {reason}"):
            read_state_dict(Path(name))


LIMITED = """
import resource, sys
from pathlib import Path
from nnzoo.errors import CheckpointError
from nnzoo.run.torch_file import read_state_dict
import torch
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + 400_000_000
resource.setrlimit(resource.RLIMIT_AS, (size, size))
for path in sys.argv[1:]:
    try:
        read_state_dict(Path(path))
    except CheckpointError:
        pass
    else:
        raise SystemExit(f"{path} was read")
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_a_small_file_takes_little_memory() -> None:
    """Files that request gigabytes fail with 400 MB of additional address space."""
    number = b"\x8a\x05\x00\x94\x35\x77\x00"  # 2,000,000,000
    structures = [
        b"\x80\x02c__builtin__\nbytearray\n" + number + b"\x85R.",
        b"\x80\x02ctorch\nTensor\n" + number + b"\x85R.",
        b"\x80\x02ctorch\nFloatStorage\n" + number + b"\x85R.",
        b"\x80\x02ctorch.storage\nUntypedStorage\n" + number + b"\x85R.",
        b"\x80\x02X" + (2**31 - 1).to_bytes(4, "little") + b".",
        b"\x80\x05\x96" + (2 * 10**9).to_bytes(8, "little") + b".",
        b"\x80\x02" + b"]" * 31_000_000 + b".",
    ]
    paths = []
    for index, structure in enumerate(structures):
        path = saved(WEIGHTS, f"{index}.pt")
        with_structure(path, structure)
        paths.append(str(path))
    subprocess.run([sys.executable, "-c", LIMITED, *paths], check=True)
