from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nnzoo.data import ArraysReader, Dataset, Samples, Schema, load_arrays
from nnzoo.errors import DataError

X = np.arange(12, dtype=np.float64).reshape(4, 3)
Y = np.array([0, 1, 0, 1])


def _save(path: Path, **arrays: Any) -> Path:
    """Saves an .npz file or, for a path without a suffix, a folder of .npy files."""
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        path.mkdir()
        for name, array in arrays.items():
            np.save(path / f"{name}.npy", array)
    return path


def _load(tmp_path: Path, x: Any = X, y: Any = Y, **options: Any) -> Dataset:
    more = {name: options.pop(name) for name in list(options) if re.match(r"(x|y|lengths)(_|$)", name)}
    return load_arrays(path=_save(tmp_path / "data.npz", x=x, y=y, **more), **options)


def _images(num: int = 2, *shape: int, dtype: Any = np.float32) -> Any:
    return np.arange(num * int(np.prod(shape))).reshape(num, *shape).astype(dtype)


class TestInputs:
    @pytest.mark.parametrize("name", ["data.npz", "data"])
    def test_file_and_folder_give_the_same(self, name: str, tmp_path: Path) -> None:
        dataset = load_arrays(path=_save(tmp_path / name, x=X, y=Y, x_val=X[:1] + 100, y_val=Y[:1]))
        assert torch.equal(dataset.train.inputs, torch.tensor(X, dtype=torch.float32))
        assert torch.equal(dataset.splits["val"].inputs, torch.tensor([[100.0, 101.0, 102.0]]))
        assert dataset.train.targets.tolist() == [0, 1, 0, 1]
        assert (dataset.classes, dataset.num_tokens) == (("0", "1"), 0)
        assert (dataset.task, dataset.layout, sorted(dataset.splits)) == (
            "classification",
            "features",
            ["train", "val"],
        )

    @pytest.mark.parametrize(
        ("x", "layout", "found", "shape"),
        [
            (_images(2, 5), "auto", "features", (5,)),
            (_images(2), "auto", "features", (1,)),
            (_images(2, dtype=np.int32), "auto", "features", (1,)),
            (_images(2, 5, dtype=np.int16), "auto", "tokens", (5,)),
            (_images(2, 5, dtype=np.int16), "features", "features", (5,)),
            (_images(2, 5, dtype=np.bool_), "auto", "features", (5,)),
            (_images(2, 5, 3), "auto", "sequence", (5, 3)),
            (_images(2, 5), "sequence", "sequence", (5, 1)),
            (_images(2, 3, 4, 5), "auto", "image", (3, 4, 5)),
            (_images(2, 4, 5, dtype=np.uint8), "image", "image", (1, 4, 5)),
        ],
    )
    def test_layouts(self, x: Any, layout: Any, found: str, shape: tuple[int, ...], tmp_path: Path) -> None:
        dataset = _load(tmp_path, x, np.array([0, 1]), layout=layout)
        assert (dataset.layout, dataset.input_shape) == (found, shape)
        kinds = {"tokens": torch.int64, "image": torch.float32}
        expected = torch.tensor(x.astype(np.float64), dtype=kinds.get(found, dataset.train.inputs.dtype))
        assert torch.equal(dataset.train.inputs, expected.reshape(2, *shape))

    @pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f2", ">i4", "u1", "f4"])
    def test_every_real_type_and_order_stays_exact(self, dtype: str, tmp_path: Path) -> None:
        x = np.asfortranarray(X.astype(dtype))
        inputs = _load(tmp_path, x, layout="features").train.inputs
        assert inputs.dtype == (torch.float64 if dtype in ("<f8", ">f8", ">i4") else torch.float32)
        assert inputs.is_contiguous()
        assert torch.equal(inputs.double(), torch.tensor(X.astype(dtype).astype(np.float64)))

    def test_changes_of_tensors_do_not_change_the_files(self, tmp_path: Path) -> None:
        path = _save(tmp_path / "data", x=X.astype(np.float32), y=Y)
        load_arrays(path=path).train.inputs.zero_()
        assert np.array_equal(np.load(path / "x.npy"), X)

    def test_tokens_are_counted_over_all_splits(self, tmp_path: Path) -> None:
        x = np.array([[1, 2], [3, 0]])
        dataset = _load(tmp_path, x, np.array([0, 1]), x_test=x + 4, y_test=np.array([0, 1]))
        assert dataset.num_tokens == 8
        assert dataset.train.inputs.dtype == torch.int64

    @pytest.mark.parametrize("dtype", [np.float32, np.int64])
    def test_values_in_the_padding_become_0(self, dtype: Any, tmp_path: Path) -> None:
        shape = (2, 3, 2) if dtype == np.float32 else (2, 3)
        x = np.ones(shape, dtype=dtype)
        x[0, 1:] = np.nan if dtype == np.float32 else -7
        split = _load(tmp_path, x, np.array([0, 1]), lengths=np.array([1, 3])).train
        assert split.lengths is not None
        assert split.lengths.tolist() == [1, 3]
        assert split.inputs[0, 0].eq(1).all()
        assert split.inputs[0, 1:].eq(0).all()
        assert split.inputs[1].eq(1).all()

    def test_limit_takes_the_first_samples_of_each_split(self, tmp_path: Path) -> None:
        x = np.concatenate([X, np.full((1, 3), np.nan)])
        dataset = _load(tmp_path, x, np.array([0, 1, 0, 1, 7]), x_val=X, y_val=Y, limit=2)
        assert torch.equal(dataset.train.inputs, torch.tensor(X[:2], dtype=torch.float32))
        assert len(dataset.splits["val"]) == 2
        assert dataset.classes == ("0", "1")

    def test_val_and_test_from_their_own_files(self, tmp_path: Path) -> None:
        val = _save(tmp_path / "val", x=X[:1], y=Y[:1])
        test = _save(tmp_path / "test.npz", x=X[:2], y=Y[:2])
        dataset = _load(tmp_path, val_path=val, test_path=str(test))
        assert {name: len(split) for name, split in dataset.splits.items()} == {"train": 4, "val": 1, "test": 2}


class TestTargets:
    @pytest.mark.parametrize(
        ("y", "classes", "indices"),
        [
            (np.array([10, 9, 100, 9]), ("9", "10", "100"), [1, 0, 2, 0]),
            (np.array([3, 1, 3, 1], dtype=">u2"), ("1", "3"), [1, 0, 1, 0]),
            (np.array([[3], [1], [3], [1]]), ("1", "3"), [1, 0, 1, 0]),
            (np.array([True, False, False, True]), ("False", "True"), [1, 0, 0, 1]),
            (np.array(["dog", "cat", "dog", "ant"]), ("ant", "cat", "dog"), [2, 1, 2, 0]),
            (np.array(["ü", "a", "a", "a"]), ("a", "ü"), [1, 0, 0, 0]),
            (np.array([b"b", b"a", b"a", b"b"]), ("a", "b"), [1, 0, 0, 1]),
        ],
    )
    def test_labels_are_classes(self, y: Any, classes: tuple[str, ...], indices: list[int], tmp_path: Path) -> None:
        dataset = _load(tmp_path, X, y)
        assert dataset.task == "classification"
        assert dataset.classes == classes
        assert dataset.train.targets.dtype == torch.int64
        assert dataset.train.targets.tolist() == indices

    def test_integer_floats_are_classes_with_an_explicit_task(self, tmp_path: Path) -> None:
        dataset = _load(tmp_path, X, np.array([2.0, -1.0, 2.0, 2.0]), task="classification")
        assert dataset.classes == ("-1", "2")
        assert dataset.train.targets.tolist() == [1, 0, 1, 1]

    def test_classes_come_only_from_train(self, tmp_path: Path) -> None:
        dataset = _load(tmp_path, X, np.array([5, 7, 9, 5]), x_val=X[:2], y_val=np.array([9, 7]))
        assert dataset.splits["val"].targets.tolist() == [2, 1]

    def test_one_hot_rows_become_indices(self, tmp_path: Path) -> None:
        dataset = _load(tmp_path, X, np.eye(4, dtype=np.int8)[[2, 0, 1, 2]], task="classification")
        assert dataset.classes == ("0", "1", "2", "3")
        assert dataset.train.targets.tolist() == [2, 0, 1, 2]

    def test_probabilities_are_unchanged(self, tmp_path: Path) -> None:
        y = np.array([[0.25, 0.75], [1, 0], [0.5, 0.5], [0.1, 0.90005]])
        dataset = _load(tmp_path, X, y, task="classification")
        assert dataset.classes == ("0", "1")
        assert torch.equal(dataset.train.targets, torch.tensor(y, dtype=torch.float32))
        assert dataset.train.class_indices().tolist() == [1, 0, 0, 1]

    @pytest.mark.parametrize("dtype", [np.bool_, np.int64, np.float64])
    def test_multilabel(self, dtype: Any, tmp_path: Path) -> None:
        y = np.array([[0, 1, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]]).astype(dtype)
        dataset = _load(tmp_path, X, y, task="multilabel")
        assert (dataset.task, dataset.classes) == ("multilabel", ("0", "1", "2"))
        assert torch.equal(dataset.train.targets, torch.tensor(y, dtype=torch.float32))

    @pytest.mark.parametrize(
        ("y", "task", "shape"),
        [
            (np.array([0.5, 1, 2, 3]), "auto", (4, 1)),
            (np.array([[0.5, 1], [2, 3], [4, 5], [6, 7]]), "auto", (4, 2)),
            (np.array([5, 6, 7, 8]), "regression", (4, 1)),
        ],
    )
    def test_regression(self, y: Any, task: Any, shape: tuple[int, ...], tmp_path: Path) -> None:
        dataset = _load(tmp_path, X, y, task=task)
        assert (dataset.task, dataset.classes) == ("regression", ())
        assert torch.equal(dataset.train.targets, torch.tensor(y, dtype=torch.float32).reshape(shape))
        assert dataset.target_names == tuple(f"y{index}" for index in range(shape[1]))


OBJECTS = np.array([{}, 1, 2, 3], dtype=object)
NAN = X.copy()
NAN[[2, 3], 1] = np.nan
SEQUENCES = np.ones((4, 5, 2))


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"x": X}, {}, "has no array y (got x)"),
        ({"a": X}, {}, "has no array x and no array y (got a)"),
        ({"x": X, "y": Y, "x_val": X}, {}, "has no array y_val (got x, x_val, y)"),
        ({"x": X, "y": Y, "lengths_test": Y}, {}, "has no array x_test and no array y_test"),
        ({"x": X, "y": Y[:3]}, {}, "y: has a different length than x (got 3 samples, expected 4)"),
        (
            {"x": X, "y": Y, "x_test": X, "y_test": Y[:1]},
            {},
            "y_test: has a different length than x (got 1 samples, expected 4)",
        ),
        ({"x": SEQUENCES, "y": Y, "lengths": Y[:2]}, {}, "lengths: has a different length than x"),
        ({"x": X[:0], "y": Y[:0]}, {}, "x: has no samples (got shape (0, 3))"),
        ({"x": np.array(3.0), "y": Y}, {}, "x: has no samples (got shape ())"),
        ({"x": NAN, "y": Y}, {}, "x: row 2 has NaN or inf (2 rows of 4)"),
        ({"x": X, "y": Y, "x_val": NAN, "y_val": Y}, {}, "x_val: row 2 has NaN"),
        ({"x": np.where(X == 4, -np.inf, X), "y": Y}, {}, "x: row 1 has NaN or inf (1 row of 4)"),
        ({"x": np.where(X == 4, 1e39, X)[:, None, :, None], "y": Y}, {}, "x: row 1 has NaN or inf"),
        ({"x": X, "y": np.array([0, 1, np.nan, 2])}, {}, "y: row 2 has NaN"),
        ({"x": OBJECTS, "y": Y}, {}, "x: has Python objects, which are not supported"),
        ({"x": X, "y": OBJECTS}, {}, "y: has Python objects, which are not supported"),
        (
            {"x": X.astype(complex), "y": Y},
            {},
            "x: has an unsupported type (got complex128; allowed real numbers",
        ),
        ({"x": X.astype("M8[s]"), "y": Y}, {}, "x: has an unsupported type (got datetime64[s]"),
        ({"x": X.astype("U"), "y": Y}, {}, "x: has an unsupported type (got <U32"),
        ({"x": X, "y": Y.astype(complex)}, {}, "y: has an unsupported type (got complex128"),
        ({"x": X, "y": Y.astype("U")}, {"task": "regression"}, "y: has an unsupported type (got <U21"),
        (
            {"x": np.ones((4, 1, 1, 1, 1)), "y": Y},
            {},
            "x: has a shape that does not match any layout (got (4, 1, 1, 1, 1)",
        ),
        ({"x": X, "y": Y}, {"layout": "image"}, "x: has a shape that does not fit the layout image (got (4, 3)"),
        ({"x": SEQUENCES, "y": Y}, {"layout": "features"}, "x: has a shape that does not fit the layout features"),
        ({"x": X, "y": Y}, {"layout": "tokens"}, "x: has an unsupported type (got float64; allowed integers"),
        ({"x": np.ones((4, 0)), "y": Y}, {}, "x: is empty (got shape (4, 0)"),
        ({"x": np.ones((4, 8, 8, 3)), "y": Y}, {}, "x: has its channels last (got shape (4, 8, 8, 3)"),
        (
            {"x": np.array([[0, 1], [0, 0], [2, -1], [0, 0]]), "y": Y},
            {},
            "x: has a token that is out of range in row 2",
        ),
        ({"x": np.array([[2**31]] * 4), "y": Y}, {}, "x: has a token that is out of range in row 0"),
        ({"x": X, "y": Y, "lengths": Y}, {}, "lengths: is for sequences and tokens (got layout features)"),
        ({"x": SEQUENCES, "y": Y, "lengths": [1, 5, 6, 1]}, {}, "lengths: has a length that is out of range in row 2"),
        ({"x": SEQUENCES, "y": Y, "lengths": [1, 0, 1, 1]}, {}, "(got 0; allowed 1 to 5)"),
        ({"x": SEQUENCES, "y": Y, "lengths": [1.0, 2, 1, 1]}, {}, "lengths: is not a list of integers"),
        ({"x": SEQUENCES, "y": Y, "lengths": np.ones((4, 1), int)}, {}, "lengths: is not a list of integers"),
        ({"x": X, "y": Y * 0 + 7}, {}, "y: has only one class (got '7' in all 4 samples"),
        ({"x": X, "y": Y}, {"limit": 1}, "y: has only one class (got '0' in all 1 samples"),
        ({"x": X, "y": np.eye(2, dtype=int)[Y]}, {}, "y: may be one-hot classes or several labels"),
        ({"x": X, "y": np.eye(2, dtype=int)[Y * 0]}, {"task": "classification"}, "y: has only one class (got '0'"),
        ({"x": X, "y": Y, "x_val": X, "y_val": [0, 1, 1, 5]}, {}, "y_val: has a label that is not a class"),
        ({"x": X, "y": Y, "x_val": X, "y_val": [0, 1, 1, 5]}, {}, "in row 3 (got '5'; allowed '0', '1')"),
        ({"x": X, "y": Y, "x_val": X, "y_val": ["0", "1", "b", "a"]}, {}, "in row 2 (got 'b'"),
        ({"x": X, "y": Y, "x_val": X[:, :2], "y_val": Y}, {}, "x_val: has samples of a different shape"),
        ({"x": X, "y": X[:, 0], "x_val": X, "y_val": X}, {}, "y_val: has a different number of targets"),
        ({"x": X, "y": np.ones((4, 2), int)}, {"task": "classification"}, "y: row 0 is not one-hot"),
        ({"x": X, "y": np.zeros((4, 2), int)}, {"task": "classification"}, "y: row 0 is not one-hot"),
        ({"x": X, "y": X / 7}, {"task": "classification"}, "y: row 0 is not a probability distribution"),
        ({"x": X, "y": [[1.5, -0.5]] * 4}, {"task": "classification"}, "y: row 0 is not a probability distribution"),
        ({"x": X, "y": [0.0, 1.5, 1, 0]}, {"task": "classification"}, "y: row 1 is not an integer"),
        ({"x": X, "y": [0.0, 1, np.inf, 0]}, {"task": "classification"}, "y: row 2 is not an integer"),
        ({"x": X, "y": np.ones((4, 2, 2))}, {}, "y: does not have one row per sample (got shape (4, 2, 2)"),
        ({"x": X, "y": np.ones((4, 2, 2), int)}, {}, "y: does not have one label per sample (got shape (4, 2, 2)"),
        ({"x": X, "y": np.ones((4, 0), int)}, {}, "y: does not have one label per sample"),
        ({"x": X, "y": X}, {"task": "multilabel"}, "y: row 0 has labels other than 0 and 1 (4 rows of 4)"),
        ({"x": X, "y": Y}, {"task": "multilabel"}, "y: does not have one column per label"),
        ({"x": X, "y": [b"\xff", b"a", b"a", b"a"]}, {}, "y: has labels that are not UTF-8"),
        ({"x": X, "y": Y}, {"limit": 0}, "limit is too small (got 0"),
    ],
)
@pytest.mark.parametrize("name", ["data.npz", "data"])
def test_bad_arrays_are_refused(
    name: str, arrays: dict[str, Any], options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = _save(tmp_path / name, **{key: np.asarray(value) for key, value in arrays.items()})
    with pytest.raises(DataError) as caught:
        load_arrays(path=path, **options)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


class TestBadFiles:
    def test_a_missing_file_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"data\.npz: there is no such file or folder"):
            load_arrays(path=tmp_path / "data.npz")

    def test_an_empty_folder_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"has no array x and no array y \(got no arrays"):
            load_arrays(path=tmp_path)

    @pytest.mark.parametrize("name", ["data.csv", "data.pkl", "data"])
    def test_an_unknown_suffix_is_refused(self, name: str, tmp_path: Path) -> None:
        (tmp_path / name).write_text("1,2\n")
        with pytest.raises(DataError, match=rf"{re.escape(name)}: is not an array file .got .*; allowed \.npz"):
            load_arrays(path=tmp_path / name)

    @pytest.mark.parametrize("keep", [0, 1, 50, 400, -1])
    def test_a_truncated_npz_is_refused(self, keep: int, tmp_path: Path) -> None:
        path = _save(tmp_path / "data.npz", x=X, y=Y)
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(DataError, match=r"data\.npz: can't be read as an \.npz"):
            load_arrays(path=path)

    @pytest.mark.parametrize("compressed", [False, True])
    def test_every_flipped_byte_is_detected_or_harmless(self, compressed: bool, tmp_path: Path) -> None:
        path = tmp_path / "data.npz"
        (np.savez_compressed if compressed else np.savez)(path, x=X, y=Y)
        content = path.read_bytes()
        refused = 0
        for place in range(0, len(content), 3):
            damaged = bytearray(content)
            damaged[place] ^= 0x55
            path.write_bytes(damaged)
            try:
                dataset = load_arrays(path=path)
            except DataError:
                refused += 1
            else:
                assert torch.equal(dataset.train.inputs, torch.tensor(X, dtype=torch.float32))
        assert refused > 50

    @pytest.mark.parametrize("keep", [0, 3, 20, 60, 128, 150, -1])
    def test_a_truncated_npy_is_refused(self, keep: int, tmp_path: Path) -> None:
        path = _save(tmp_path / "data", x=X, y=Y)
        (path / "x.npy").write_bytes((path / "x.npy").read_bytes()[:keep])
        with pytest.raises(DataError, match="data: x: can't be read: it is damaged or incomplete"):
            load_arrays(path=path)

    @pytest.mark.parametrize("header", [b"(-4, 3), }", b"(9**9,3),}", b"(99999, 3)", b"((((((((((", b"'a', None}"])
    def test_a_damaged_npy_header_is_refused(self, header: bytes, tmp_path: Path) -> None:
        path = _save(tmp_path / "data", x=X, y=Y)
        content = (path / "x.npy").read_bytes()
        assert b"(4, 3), } " in content
        (path / "x.npy").write_bytes(content.replace(b"(4, 3), } ", header))
        with pytest.raises(DataError, match="data: x: can't be read"):
            load_arrays(path=path)

    def test_two_val_splits_are_refused(self, tmp_path: Path) -> None:
        val = _save(tmp_path / "val.npz", x=X, y=Y)
        with pytest.raises(DataError, match=r"data\.npz: has a val split \(got x_val, y_val\).*val\.npz"):
            _load(tmp_path, x_val=X, y_val=Y, val_path=val)

    def test_a_missing_test_path_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"other\.npz: there is no such file"):
            _load(tmp_path, test_path=tmp_path / "other.npz")


def _read_more(
    *, path: Path, task: Any, layout: Any, input_shape: tuple[int, ...], classes: tuple[str, ...] = (), **known: int
) -> Samples:
    """Tests labelled files with the form of the training data."""
    targets = tuple(f"y{index}" for index in range(known.get("num_targets", 0)))
    schema = Schema(task, layout, classes, (), targets, known.get("num_tokens", 0), input_shape)
    return ArraysReader().read([path], schema, labelled=True)


class TestOneMoreSplit:
    def test_takes_the_classes_of_the_dataset(self, tmp_path: Path) -> None:
        path = _save(tmp_path / "new.npz", x=X[:2], y=np.array(["c", "b"]))
        split = _read_more(
            path=path, task="classification", layout="features", input_shape=(3,), classes=("a", "b", "c")
        )
        assert split.targets is not None
        assert split.targets.tolist() == [2, 1]
        assert torch.equal(split.inputs, torch.tensor(X[:2], dtype=torch.float32))

    def test_regression(self, tmp_path: Path) -> None:
        path = _save(tmp_path / "new.npz", x=X, y=X[:, 0])
        split = _read_more(path=path, task="regression", layout="features", input_shape=(3,), num_targets=1)
        assert split.targets is not None
        assert split.targets.shape == (4, 1)

    @pytest.mark.parametrize(
        ("arrays", "options", "message"),
        [
            ({}, {"input_shape": (5,)}, r"x: has samples of a different shape .*\(got \(3,\); expected \(5,\)\)"),
            ({}, {"classes": ("0", "2")}, r"y: has a label that is not a class .* row 1 \(got '1'; allowed '0', '2'\)"),
            (
                {},
                {"task": "regression", "classes": (), "num_targets": 2},
                r"y: has a different number .*\(got 1; expected 2\)",
            ),
            (
                {"x": np.array([[0, 1, 2]] * 4)},
                {"layout": "tokens", "num_tokens": 2},
                r"x: has a token that is out of range in row 0 \(got 0 to 2; allowed 0 to 1\)",
            ),
            (
                {"y": np.eye(3)[Y]},
                {},
                r"y: does not have one column per class \(got shape \(4, 3\); allowed \(N, 2\)\)",
            ),
        ],
    )
    def test_other_data_is_refused(
        self, arrays: dict[str, Any], options: dict[str, Any], message: str, tmp_path: Path
    ) -> None:
        path = _save(tmp_path / "new.npz", **({"x": X, "y": Y} | arrays))
        known: dict[str, Any] = {
            "task": "classification",
            "layout": "features",
            "input_shape": (3,),
            "classes": ("0", "1"),
        }
        with pytest.raises(DataError, match=r"new\.npz: " + message):
            _read_more(path=path, **(known | options))
