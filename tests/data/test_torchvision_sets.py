"""Tests of torchvision's image datasets: tiny files in its directory layout, and downloads from localhost."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import io
import os
import pickle
import struct
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision

from nnzoo.builders import build_dataset
from nnzoo.config import load_config
from nnzoo.data import Dataset
from nnzoo.errors import ConfigError, DataError

RNG = np.random.default_rng(0)
NUM = 20


def load(name: str, root: Path, **words: Any) -> Dataset:
    """Loads a dataset as the config does, without dividing it."""
    data = {"name": name, "root": str(root), "download": False, "split": {"val": 0}, **words}
    return build_dataset(load_config({"data": data, "model": "linear"}))


def idx(values: np.ndarray) -> bytes:
    return bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}i", *values.shape) + values.tobytes()


def pixels(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def idx_files() -> dict[str, np.ndarray]:
    labels = (np.arange(NUM) % 10).astype(np.uint8)
    return {
        "train-images-idx3-ubyte": pixels(NUM, 28, 28),
        "train-labels-idx1-ubyte": labels,
        "t10k-images-idx3-ubyte": pixels(NUM, 28, 28),
        "t10k-labels-idx1-ubyte": labels[::-1].copy(),
    }


def write_idx(folder: Path, *, packed: bool = False, suffix: str | None = None) -> dict[str, np.ndarray]:
    folder.mkdir(parents=True, exist_ok=True)
    files = idx_files()
    for name, values in files.items():
        end = suffix if suffix is not None else ".gz" if packed else ""
        (folder / f"{name}{end}").write_bytes(gzip.compress(idx(values)) if packed else idx(values))
    return files


@pytest.mark.parametrize(
    ("name", "folder"),
    [("mnist", "MNIST/raw"), ("fashion_mnist", "FashionMNIST/raw"), ("kmnist", "KMNIST/raw"), ("mnist", ".")],
)
@pytest.mark.parametrize("packed", [True, False])
def test_idx_files(name: str, folder: str, packed: bool, tmp_path: Path) -> None:
    files = write_idx(tmp_path / folder, packed=packed)
    dataset = load(name, tmp_path)
    assert list(dataset.splits) == ["train", "test"]
    assert dataset.train.inputs.dtype == torch.uint8
    assert torch.equal(dataset.train.inputs[:, 0], torch.tensor(files["train-images-idx3-ubyte"]))
    assert torch.equal(dataset.splits["test"].inputs[:, 0], torch.tensor(files["t10k-images-idx3-ubyte"]))
    assert dataset.splits["test"].targets.tolist() == files["t10k-labels-idx1-ubyte"].tolist()


def test_torchvision_reads_the_same(tmp_path: Path) -> None:
    write_idx(tmp_path / "KMNIST/raw")
    theirs = torchvision.datasets.KMNIST(tmp_path, train=False)
    ours = load("kmnist", tmp_path)
    assert torch.equal(ours.splits["test"].inputs[:, 0], theirs.data)
    assert torch.equal(ours.splits["test"].targets, theirs.targets)
    assert list(ours.classes) == theirs.classes


@pytest.mark.parametrize(("packed", "suffix"), [(True, ""), (False, ".gz")])
def test_gzip_is_detected_by_content_and_not_by_name(packed: bool, suffix: str, tmp_path: Path) -> None:
    files = write_idx(tmp_path, packed=packed, suffix=suffix)
    found = load("fashion_mnist", tmp_path).train.inputs[:, 0]
    assert torch.equal(found, torch.tensor(files["train-images-idx3-ubyte"]))


def test_classes_keep_their_order_and_limit_takes_the_first(tmp_path: Path) -> None:
    files = write_idx(tmp_path)
    dataset = load("mnist", tmp_path, classes=[7, "2"], limit=3)
    assert dataset.classes == ("7", "2")
    assert dataset.train.targets.tolist() == [1, 0, 1]  # rows 2, 7, 12
    expected = torch.tensor(files["train-images-idx3-ubyte"])[[2, 7, 12]]
    assert torch.equal(dataset.train.inputs[:, 0], expected)


def test_the_val_split_is_taken_from_train(tmp_path: Path) -> None:
    write_idx(tmp_path)
    dataset = load("mnist", tmp_path, split={"val": 0.5})
    assert {name: len(split) for name, split in dataset.splits.items()} == {"train": 10, "val": 10, "test": 20}
    assert sorted(dataset.splits["val"].targets.tolist()) == list(range(10))


def test_missing_files_name_every_searched_path(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load("fashion_mnist", tmp_path)
    for place in ("FashionMNIST/raw/train-images-idx3-ubyte", "FashionMNIST/raw/train-images-idx3-ubyte.gz"):
        assert str(tmp_path / place) in str(caught.value)
    assert str(tmp_path / "train-images-idx3-ubyte") in str(caught.value)
    with pytest.raises(DataError, match=str(tmp_path / "cifar-10-python.tar.gz")):
        load("cifar10", tmp_path)


def cut_short(raw: bytes) -> bytes:
    return raw[:-5]


def too_long(raw: bytes) -> bytes:
    return raw + b"x"


def other_type(raw: bytes) -> bytes:
    return raw[:2] + b"\x0d" + raw[3:]


def endless(raw: bytes) -> bytes:
    return raw[:4] + b"\x7f\xff\xff\xff" * 3


def small_images(_: bytes) -> bytes:
    return idx(pixels(NUM, 5, 5))


def fewer_images(_: bytes) -> bytes:
    return idx(pixels(3, 28, 28))


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(
    "damage", [cut_short, too_long, other_type, endless, small_images, fewer_images, lambda _: b""]
)
def test_damaged_idx_files_are_named(damage: Any, packed: bool, tmp_path: Path) -> None:
    write_idx(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    raw = damage(path.read_bytes())
    path.write_bytes(gzip.compress(raw)[: -3 if damage is cut_short else None] if packed else raw)
    with pytest.raises(DataError, match=r"train-(images|labels)-idx"):
        load("mnist", tmp_path)


def test_labels_beyond_the_classes_are_refused(tmp_path: Path) -> None:
    write_idx(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.full(NUM, 11, dtype=np.uint8)))
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte: has labels that are not in mnist \(got up to 11\)"):
        load("mnist", tmp_path)


def cifar_batch(num_classes: int, *, fine: bool = False) -> dict[str, Any]:
    labels = [int(label) for label in RNG.integers(0, num_classes, NUM)]
    batch: dict[str, Any] = {
        "data": pixels(NUM, 3072),
        "fine_labels" if fine else "labels": labels,
        "filenames": ["a"] * NUM,
    }
    return batch | ({"coarse_labels": labels} if fine else {})


def write_cifar(folder: Path, *, protocol: int = 2, as_bytes: bool = False) -> dict[str, dict[str, Any]]:
    folder.mkdir(parents=True)
    batches = {name: cifar_batch(10) for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")}
    for name, batch in batches.items():
        said = {key.encode() if as_bytes else key: value for key, value in batch.items()}
        (folder / name).write_bytes(pickle.dumps(said, protocol=protocol))
    return batches


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("as_bytes", [True, False])
def test_cifar10(protocol: int, as_bytes: bool, tmp_path: Path) -> None:
    batches = write_cifar(tmp_path / "cifar-10-batches-py", protocol=protocol, as_bytes=as_bytes)
    dataset = load("cifar10", tmp_path)
    assert dataset.input_shape == (3, 32, 32)
    data = np.concatenate([batches[f"data_batch_{i}"]["data"] for i in range(1, 6)])
    assert torch.equal(dataset.train.inputs, torch.tensor(data).reshape(-1, 3, 32, 32))
    assert dataset.splits["test"].targets.tolist() == batches["test_batch"]["labels"]


def test_cifar_in_its_archive(tmp_path: Path) -> None:
    batches = write_cifar(tmp_path / "cifar-10-batches-py")
    packed = tmp_path / "packed"
    packed.mkdir()
    with tarfile.open(packed / "cifar-10-python.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "cifar-10-batches-py", "cifar-10-batches-py")
    found = load("cifar10", packed).splits["test"].inputs
    assert torch.equal(found, torch.tensor(batches["test_batch"]["data"]).reshape(-1, 3, 32, 32))
    assert [path.name for path in packed.iterdir()] == ["cifar-10-python.tar.gz"]


def test_cifar100(tmp_path: Path) -> None:
    (tmp_path / "cifar-100-python").mkdir()
    batches = {name: cifar_batch(100, fine=True) for name in ("train", "test")}
    batches["test"]["fine_labels"] = list(np.array(batches["test"]["fine_labels"]))
    for name, batch in batches.items():
        (tmp_path / "cifar-100-python" / name).write_bytes(pickle.dumps(batch))
    dataset = load("cifar100", tmp_path)
    assert len(dataset.classes) == 100
    assert dataset.train.targets.tolist() == batches["train"]["fine_labels"]
    assert dataset.splits["test"].targets.tolist() == batches["test"]["fine_labels"]


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("owned",)


@pytest.mark.parametrize("evil", [{"data": Evil()}, Evil(), {"data": np.array([Evil()], dtype=object)}])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_runs_no_code(evil: Any, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_cifar(tmp_path / "cifar-10-batches-py")
    (tmp_path / "cifar-10-batches-py/data_batch_2").write_bytes(pickle.dumps(evil, protocol=protocol))
    with pytest.raises(DataError, match=r"data_batch_2: can't be read: .*it refers to (posix|nt|os)\.mkdir"):
        load("cifar10", tmp_path)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "batch",
    [b"", b"\x80", [1, 2], {}, {"data": 3, "labels": [1]}, {"data": pixels(2, 9), "labels": [1, 2]}, {"labels": [1]}],
)
def test_other_pickles_are_refused(batch: Any, tmp_path: Path) -> None:
    write_cifar(tmp_path / "cifar-10-batches-py")
    raw = batch if isinstance(batch, bytes) else pickle.dumps(batch)
    (tmp_path / "cifar-10-batches-py/test_batch").write_bytes(raw)
    with pytest.raises(DataError, match="test_batch: can't be read"):
        load("cifar10", tmp_path)


class Type:
    """Pickles as a numpy.dtype with a custom state."""

    def __init__(self, code: str, state: Any) -> None:
        self.code, self.state = code, state

    def __reduce__(self) -> tuple[Any, ...]:
        return np.dtype, (self.code, False, True), self.state


class Pickled:
    """Pickles as a numpy.ndarray with a custom shape and dtype."""

    def __init__(self, shape: Any, dtype: Any, data: Any) -> None:
        self.state = (1, shape, dtype, False, data)

    def __reduce__(self) -> tuple[Any, ...]:
        return (*np.empty(0).__reduce__()[:2], self.state)


ENDS = (None, None, -1, -1, 0)
BYTES = bytes(3072)
# NumPy's unpickling accepts all of them; with the first four it reads memory out of bounds.
HOSTILE: dict[str, Any] = {
    "a large part": Pickled((1,), Type("u1", (3, "|", (np.dtype("u1"), (10**9,)), *ENDS)), b"a"),
    "a field far away": Pickled(
        (1,), Type("V8", (3, "|", None, ("a",), {"a": (np.dtype("u1"), 10**9)}, 8, 1, 0)), BYTES
    ),
    "bytes as objects": Pickled(
        (1,), Type("V8", (3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0)), BYTES[:8]
    ),
    "flags": Pickled((1,), Type("V8", (3, "|", None, None, None, 8, 1, 1)), BYTES[:8]),
    "objects": Pickled((1,), np.dtype("O"), [1]),
    "a large shape": Pickled((10**12, 3072), np.dtype("u1"), BYTES),
    "a negative shape": Pickled((-1, 3072), np.dtype("u1"), BYTES),
    "a shape of text": Pickled("x", np.dtype("u1"), BYTES),
    "no type": Pickled((1, 3072), "u1", BYTES),
    "no bytes": Pickled((1, 3072), np.dtype("u1"), 5),
    "floats": np.zeros((1, 3072), dtype=np.float64),
    "an order": Pickled((1, 3072), Type("u1", (3, ["|"], None, *ENDS)), BYTES),
}


@pytest.mark.parametrize("data", HOSTILE)
def test_invalid_pickled_arrays_are_refused(data: str, tmp_path: Path) -> None:
    write_cifar(tmp_path / "cifar-10-batches-py")
    (tmp_path / "cifar-10-batches-py/test_batch").write_bytes(
        pickle.dumps({"data": HOSTILE[data], "labels": [1]}, protocol=2)
    )
    with pytest.raises(DataError, match=r"test_batch: can't be read: .*\(it(s data| has an)"):
        load("cifar10", tmp_path)


def test_a_pickle_cannot_change_the_unpickler(tmp_path: Path) -> None:
    write_cifar(tmp_path / "cifar-10-batches-py")
    for name in (b"c_codecs\nencode\n", b"cnumpy\ndtype\n", b"cnumpy.core.multiarray\n_reconstruct\n"):
        # Sets the state of the class itself: (None, {"read": 1}).
        content = b"\x80\x02" + name + b"N}X\x04\x00\x00\x00readK\x01s\x86b."
        (tmp_path / "cifar-10-batches-py/test_batch").write_bytes(content)
        with pytest.raises(DataError, match="test_batch: can't be read"):
            load("cifar10", tmp_path)


def test_svhn(tmp_path: Path) -> None:
    from scipy.io import savemat

    images, labels = pixels(32, 32, 3, NUM), (np.arange(NUM) % 10 + 1).reshape(-1, 1).astype(np.uint8)
    for name in ("train", "test"):
        savemat(tmp_path / f"{name}_32x32.mat", {"X": images, "y": labels}, do_compression=name == "test")
    dataset = load("svhn", tmp_path)
    assert dataset.train.targets.tolist() == [*range(1, 10), 0] * 2
    assert torch.equal(dataset.splits["test"].inputs[3, 1], torch.tensor(images[:, :, 1, 3]))
    for wrong in (labels + 3, np.full(labels.shape, np.nan), labels + 1j):
        savemat(tmp_path / "train_32x32.mat", {"X": images, "y": wrong})
        with pytest.raises(DataError, match=r"train_32x32\.mat: can't be read: .*y has labels other than 1 to 10"):
            load("svhn", tmp_path)
    savemat(tmp_path / "train_32x32.mat", {"X": images, "y": labels})
    (tmp_path / "test_32x32.mat").write_bytes((tmp_path / "test_32x32.mat").read_bytes()[:500])
    with pytest.raises(DataError, match=r"test_32x32\.mat: can't be read"):
        load("svhn", tmp_path)


def test_dataset_facts_need_no_files(tmp_path: Path) -> None:
    facts = load_config({"data": {"name": "cifar100", "root": str(tmp_path / "none")}, "model": "linear"}).data.facts()
    assert (facts.num_classes, facts.input_shape, facts.has_test) == (100, (3, 32, 32), True)
    two = load_config({"data": {"name": "fashion_mnist", "classes": ["Coat", "Shirt"]}, "model": "linear"}).data.facts()
    assert two.num_classes == 2


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["cat", "dogs"], "'dogs' is not a class of cifar10. Did you mean 'dog'?"),
        (["cat"], "two or more"),
        (["cat"] * 2, "different"),
    ],
)
def test_unknown_classes_are_config_errors(classes: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config({"data": {"name": "cifar10", "classes": classes}, "model": "linear"})
    assert message in str(caught.value)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Serves a folder over HTTP; yields the folder and its URL."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def md5(raw: bytes) -> str:
    return hashlib.md5(raw, usedforsecurity=False).hexdigest()


def test_missing_files_are_downloaded_once(
    served: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    files = write_idx(folder, packed=True)
    resources = [(f"{name}.gz", md5((folder / f"{name}.gz").read_bytes())) for name in files]
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", resources)
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [f"{address}gone/", address])
    for _ in range(2):
        found = load("mnist", tmp_path / "root", download=True).train.inputs[:, 0]
        assert torch.equal(found, torch.tensor(files["train-images-idx3-ubyte"]))
        monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [])
    assert (tmp_path / "root/MNIST/raw/t10k-images-idx3-ubyte.gz").is_file()


def test_the_cifar_archive_is_downloaded_and_not_unpacked(
    served: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    write_cifar(tmp_path / "made/cifar-10-batches-py")
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        tar.add(tmp_path / "made/cifar-10-batches-py", "cifar-10-batches-py")
    (folder / "cifar-10-python.tar.gz").write_bytes(raw.getvalue())
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "url", f"{address}cifar-10-python.tar.gz")
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "tgz_md5", md5(raw.getvalue()))
    assert len(load("cifar10", tmp_path / "root", download=True).train) == 5 * NUM
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["cifar-10-python.tar.gz"]


def test_a_failed_download_names_file_address_and_reason(
    served: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torchvision.datasets.KMNIST, "mirrors", [served[1]])
    with pytest.raises(DataError) as caught:
        load("kmnist", tmp_path / "root", download=True)
    assert caught.value.where == str(tmp_path / "root/KMNIST/raw/train-images-idx3-ubyte.gz")
    assert f"can't be downloaded ({served[1]}train-images-idx3-ubyte.gz: HTTP Error 404" in str(caught.value)
