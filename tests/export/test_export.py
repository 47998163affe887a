"""`nnzoo export`: what is written, what is refused, and that the files serve without torch and nnzoo."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

import nnzoo
from nnzoo.cli.app import run
from nnzoo.data import CsvReader
from nnzoo.data.quantiles import to_normal
from nnzoo.experiment.load import load
from nnzoo.export import export_network
from nnzoo.export.built import Built
from nnzoo.export.columns import columns_of
from nnzoo.export.onnx_file import onnx_runner
from nnzoo.export.parity import training_data
from nnzoo.export.quantiles import Quantiles, normal_scores
from nnzoo.export.quantize import measured, quantized
from nnzoo.export.served import Served, interface_of

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

CITIES = ['say "hi"', "שלום", "a,b", "New\u200fYork", "x"]
CLASSES = ['"quoted"', "עברית", "it's <b>"]
DOCS = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
READER = re.findall(r"```python3\n(.*?)```", DOCS, flags=re.DOTALL)[0]
WITHOUT_TORCH = """
import importlib.abc, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in ("torch", "nnzoo", "onnx", "onnxscript"):
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Blocked())
"""
SERVE = """
found = []
for path, samples in json.load(open("samples.json", encoding="utf-8")):
    outputs = predict(onnxruntime.InferenceSession(path), samples)
    found.append([outputs["probabilities"].tolist(), [outputs["names"][label] for label in outputs["labels"]]])
assert not {"torch", "nnzoo", "onnx"} & set(sys.modules)
json.dump(found, open("served.json", "w", encoding="utf-8"))
"""


class Shared(NamedTuple):
    """The folder with the data, the runs `table` and `texts`, and what their export printed."""

    folder: Path
    printed: dict[str, Any]


def rows(count: int, *, dates: bool = True) -> list[dict[str, Any]]:
    rng = np.random.default_rng(count)
    found = []
    for number in range(count):
        row = {
            "price": None if number % 7 == 3 else round(float(rng.normal()), 3),
            "city": None if number % 9 == 5 else str(rng.choice(CITIES)),
            "open": bool(rng.random() < 0.5),
            "size": int(rng.integers(0, 50)),
        }
        found.append(row | ({"day": f"2024-0{1 + number % 9}-{10 + number % 17}"} if dates else {}))
    return found


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    folder = tmp_path_factory.mktemp("export")
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["price", "city", "open", "size", "day", "kind"])
        writer.writeheader()
        writer.writerows(row | {"kind": CLASSES[number % 3]} for number, row in enumerate(rows(90)))
    (folder / "words").mkdir()
    for kind, names in {"short": ["ab", "ba", "é", "aab"], "long": ["abcabc", "bcabca", "cabcabcab"]}.items():
        (folder / "words" / f"{kind}.txt").write_text("\n".join(names * 6), encoding="utf-8")
    configs: dict[str, Any] = {
        "table": {"data": {"name": "csv", "path": str(folder / "table.csv"), "target": "kind"}, "model": "mlp"},
        "texts": {
            "data": {"name": "text", "path": str(folder / "words"), "tokenizer": "char"},
            "model": {"name": "rnn", "hidden_size": 6, "bidirectional": True},
        },
    }
    printed = {}
    with contextlib.chdir(folder):
        for name, config in configs.items():
            nnzoo.train({"name": name, **config, "train": {"epochs": 4}}, quiet=True)
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                assert run(["export", name, "--output", f"{name}.onnx", "--json"]) == 0
            printed[name] = json.loads(output.getvalue())  # exactly one object, although the exporter prints
    return Shared(folder, printed)


def test_the_files_and_the_difference_are_reported(shared: Shared) -> None:
    for name, found in shared.printed.items():
        assert found["files"] == {
            each: (shared.folder / each).stat().st_size for each in (f"{name}.onnx", f"{name}.onnx.json")
        }
        assert 0 <= found["parity"]["difference"] <= found["parity"]["limit"] == 1e-5
        assert found["parity"]["samples"] == "test"
    assert len({each[0] for each in shared.printed["table"]["parity"]["batches"]}) >= 3
    assert len({each[1] for each in shared.printed["texts"]["parity"]["batches"]}) >= 4


def test_a_network_serves_without_torch_and_nnzoo(shared: Shared) -> None:
    """The reader of the documentation gives the predictions of nnzoo, in a process that can import neither."""
    new = [*rows(11, dates=False), {"price": 0.5, "city": "Rome", "open": "no", "size": 3}]
    texts: Any = ["ab", "cabcab", "zz", "", "abcabcabcabcabc"]
    raw: Any = [{**row, "day": None} for row in new]
    (shared.folder / "samples.json").write_text(
        json.dumps([["table.onnx", raw], ["texts.onnx", texts]]), encoding="utf-8"
    )
    subprocess.run([sys.executable, "-c", WITHOUT_TORCH + READER + SERVE], cwd=shared.folder, check=True)
    served = json.loads((shared.folder / "served.json").read_text(encoding="utf-8"))
    for name, samples, (probabilities, labels) in zip(("table", "texts"), (raw, texts), served, strict=True):
        model = nnzoo.load(shared.folder / "runs" / name)
        np.testing.assert_allclose(probabilities, model.predict_proba(samples), atol=1e-5)
        assert labels == model.predict(samples).tolist()
    assert set(json.loads((shared.folder / "table.onnx.json").read_text(encoding="utf-8"))["output"]["names"]) == set(
        CLASSES
    )


def test_the_file_has_the_description_and_no_path_of_this_machine(shared: Shared) -> None:
    import onnx

    for name in shared.printed:
        content = (shared.folder / f"{name}.onnx").read_bytes()
        model = onnx.load_from_string(content)
        onnx.checker.check_model(model, full_check=True)
        assert {each.key: each.value for each in model.metadata_props} == {
            "nnzoo": (shared.folder / f"{name}.onnx.json").read_text(encoding="utf-8")
        }
        assert str(Path(nnzoo.__file__).parent).encode() not in content
        axes = [axis.dim_param for axis in model.graph.input[0].type.tensor_type.shape.dim]
        assert axes == (["N", ""] if name == "table" else ["N", "T"])


def test_features_are_computed_from_one_number_per_column(shared: Shared) -> None:
    """Columns with missing values, unknown categories and dates have the features that nnzoo computes."""
    trained = load(shared.folder / "runs" / "table")
    reader = trained.reader
    assert isinstance(reader, CsvReader)
    assert {each.kind for each in reader.columns} == {"number", "category", "boolean", "date"}
    columns = columns_of(reader)
    assert columns is not None
    samples = trained.samples_of([*rows(60), {**rows(1)[0], "city": "Rome", "day": None}])
    values = columns.of_features(samples.inputs)
    assert values.shape == (61, len(columns.described))
    assert columns.module()(values).equal(samples.inputs)


def test_a_file_of_torch_runs_alone(shared: Shared, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where the data is gone: then the comparison uses random inputs, and says so."""
    folder = shared.folder / "moved"
    folder.mkdir()
    (folder / "best.safetensors").write_bytes((shared.folder / "runs" / "texts" / "best.safetensors").read_bytes())
    with contextlib.chdir(folder):
        assert run(["export", "best.safetensors", "--format", "torch"]) == 0
    printed = capsys.readouterr().out
    assert "moved.pt2" in printed
    assert "random inputs" in printed
    tokens, lengths = torch.tensor([[2, 3, 4], [3, 2, 0]]), torch.tensor([3, 2])
    extra = {"nnzoo.json": ""}
    probabilities, labels = torch.export.load(folder / "moved.pt2", extra_files=extra).module()(tokens, lengths)
    trained = load(folder / "best.safetensors")
    expected = trained.decoder.probabilities(trained.outputs_of(tokens, lengths))
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    assert labels.equal(expected.argmax(1))
    assert json.loads(extra["nnzoo.json"])["output"]["names"] == list(trained.classes)


def test_nothing_is_written_if_the_network_differs(
    shared: Shared, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(trained: Any, interface: Any, example: Any, text: str) -> Any:
        served = Served(trained, trained.module, interface)

        def runner(arguments: tuple[Tensor, ...]) -> list[Tensor]:
            with torch.no_grad():
                scores, labels = served(*arguments)
            return [scores + 2e-5, labels]

        return Built((b"content", b"{}"), runner, "a test")

    monkeypatch.setattr("nnzoo.export.torch_file.build_torch", build)
    monkeypatch.chdir(shared.folder)
    assert run(["export", "table", "--format", "torch", "--output", "wrong.pt2"]) == 5
    assert "differs from nnzoo (got 2e-05, allowed 1e-05" in capsys.readouterr().err
    assert not list(shared.folder.glob("*wrong*"))


def test_files_are_replaced_only_on_request(
    shared: Shared, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shared.folder)
    before = Path("table.onnx").read_bytes()
    assert run(["export", "table"]) == 2
    assert "table.onnx and table.onnx.json already exist" in capsys.readouterr().err
    assert Path("table.onnx").read_bytes() == before
    assert run(["export", "table", "--output", "none/table.onnx"]) == 2
    assert "the folder none does not exist" in capsys.readouterr().err


def test_a_missing_package_is_one_line(
    shared: Shared, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.chdir(shared.folder)
    assert run(["export", "table", "--output", "new.onnx"]) == 2
    error = capsys.readouterr().err
    assert "pip install 'nnzoo[export]'" in error
    assert len(error.splitlines()) == 1


def test_a_module_of_javascript_answers_as_nnzoo(shared: Shared) -> None:
    """Rows are lists of cells as in the file; names with quotes and from right to left stay as they are."""
    mini_racer = pytest.importorskip("py_mini_racer")
    with contextlib.chdir(shared.folder):
        exported = export_network(load("runs/table"), form="js", output="table.js")
    assert exported.parity.passed
    assert exported.parity.samples == "test"
    module, model, page = ((shared.folder / each).read_text(encoding="utf-8") for each in exported.files)
    assert len(module) < 40_000
    assert '<script src="table.js">' in page
    context = mini_racer.MiniRacer()
    context.eval(f"{module}; var network = nnzoo.load({model});")
    rows = [["0.5", "שלום", "yes", "3", "2024-03-11"], ["", 'say "hi"', "no", "12", ""]]
    names = ["price", "city", "open", "size", "day"]
    trained = nnzoo.load(shared.folder / "runs" / "table")
    for row in rows:
        answer = json.loads(str(context.eval(f"JSON.stringify(network.predict({json.dumps(row)}))")))
        expected = trained.predict_proba([dict(zip(names, (cell or None for cell in row), strict=True))])
        np.testing.assert_allclose([answer["probabilities"]], expected, atol=1e-5)
        assert json.loads(model)["classes"][answer["label"]] in CLASSES
    problems = json.loads(str(context.eval("JSON.stringify(network.predict(['x', 'a', 'yes', '1', '']))")))["problems"]
    assert "price" in problems[0]["text"]


def test_the_reason_of_the_page_refuses_a_module(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("py_mini_racer")
    monkeypatch.setattr("nnzoo.report.live.model.MAX_BYTES", 100)
    with pytest.raises(nnzoo.errors.UsageError, match=r"can't be run by JavaScript: it has .* MB of weights"):
        export_network(load(shared.folder / "runs" / "table"), form="js", output=shared.folder / "large.js")
    assert not list(shared.folder.glob("*large*"))


def test_8_bit_weights_are_measured_beside_those_of_float(shared: Shared) -> None:
    """On the test split, by the metrics of the run. PCA and scaling stay in float64."""
    import onnx

    trained = load(shared.folder / "runs" / "table")
    content, interface = (shared.folder / "table.onnx").read_bytes(), interface_of(trained)
    smaller = quantized(content, "mlp")
    assert len(smaller) < 0.8 * len(content)
    kinds = {each.data_type for each in onnx.load_from_string(smaller).graph.initializer}
    assert {onnx.TensorProto.INT8, onnx.TensorProto.DOUBLE} <= kinds
    runs = [onnx_runner(each, interface) for each in (smaller, content)]
    cost = measured(trained, interface, training_data(trained), (len(content), runs[1]), runs[0])
    assert cost.split == "test"
    assert cost.float_metrics["accuracy"] == nnzoo.evaluate(trained).metrics["accuracy"]
    assert 0 <= cost.metrics["accuracy"] <= 1
    assert "accuracy" in cost.describe(len(smaller))
    entry = next(each for each in onnx.load_from_string(smaller).metadata_props if each.key == "nnzoo")
    assert entry.value == (shared.folder / "table.onnx.json").read_text(encoding="utf-8")


def test_trees_are_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "trees.txt").write_text("(3 (2 a) (4 b))\n(1 (2 c) (0 d))\n" * 9)
    config = {"data": {"name": "trees", "path": str(tmp_path / "trees.txt")}, "model": "recursive"}
    trained = nnzoo.train({**config, "train": {"epochs": 1}}, runs_dir=tmp_path, quiet=True).model
    with pytest.raises(nnzoo.errors.UsageError, match="the number of levels depends on the trees"):
        interface_of(trained)


def test_the_average_of_folds_is_refused(shared: Shared) -> None:
    trained = load(shared.folder / "runs" / "table")
    with pytest.raises(nnzoo.errors.UsageError, match="the average of the 2 networks of a cross-validation"):
        interface_of(replace(trained, members=(trained, trained)))


def test_far_windows_of_a_series_are_shifted_as_in_nnzoo(tmp_path: Path) -> None:
    """The forecast of a counter that left the range of the training rows keeps its digits."""
    lines = [f"{number / 7:.3f},{'ab'[number % 2]}" for number in range(60)]
    (tmp_path / "counter.csv").write_text("\n".join(["value,kind", *lines]))
    data = {"name": "series", "path": str(tmp_path / "counter.csv"), "target": "value", "window": 4}
    config = {"data": {**data, "categorical": ["kind"]}, "model": {"name": "lstm", "hidden_size": 3}}
    trained = nnzoo.train({**config, "train": {"epochs": 2}}, runs_dir=tmp_path, quiet=True).model
    interface = interface_of(trained)
    rows = [[[step / 7 + level, 1.0, 0.0] for step in range(4)] for level in (0.0, 1e7)]
    windows = torch.tensor(rows, dtype=torch.float64)
    with torch.no_grad():
        (values,) = Served(trained, trained.module, interface)(*interface.arguments(windows, None))
    expected = trained.decoder.values(trained.outputs_of(windows))
    assert values.equal(expected)
    assert abs(float(values[1] - values[0]) - 1e7) < 1e-3


def test_quantiles_are_those_of_nnzoo() -> None:
    """Also for columns with repeated values, between and beyond the quantiles."""
    rng = np.random.default_rng(0)
    columns = [rng.normal(size=400), rng.poisson(1, 400), np.full(400, 3.0), rng.lognormal(size=400)]
    values = np.stack(columns, axis=1)
    quantiles = torch.from_numpy(np.quantile(values, np.linspace(0, 1, 17), axis=0))
    quantiles[:, 1] = quantiles[:, 1].round()
    new = torch.from_numpy(np.concatenate([values, 3 * values - 1, quantiles]))
    torch.testing.assert_close(Quantiles(quantiles)(new), to_normal(new, quantiles), rtol=0, atol=1e-9)
    levels = torch.cat([torch.linspace(0, 1, 10_001)[1:-1].double(), torch.logspace(-9, -1, 99, dtype=torch.float64)])
    torch.testing.assert_close(normal_scores(levels), torch.special.ndtri(levels), rtol=1e-12, atol=1e-12)


def test_export_from_python(shared: Shared) -> None:
    with pytest.raises(nnzoo.errors.UsageError, match="is a folder"):
        export_network(load(shared.folder / "runs" / "table"), form="torch", output=shared.folder)
