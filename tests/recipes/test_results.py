"""The measured results of the shipped configs, and the script that measures them."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from nnzoo.config import load_config
from nnzoo.config.data import TorchvisionSet
from nnzoo.config.shipped import shipped_configs
from nnzoo.errors import RunError
from nnzoo.recipes.measure import data_of, headline
from nnzoo.recipes.results import Result, claim, config_digest, read_results, results_file, table, with_claim

ROOT = Path(__file__).parents[2]
RESULTS = read_results()


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recipes", ROOT / "scripts" / "recipes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def result(metric: str, *values: float, baseline: float | None = None) -> Result:
    seeds = tuple(range(len(values)))
    return Result(
        metric=metric,
        seeds=seeds,
        values=values,
        num_samples=150,
        baseline=baseline,
        others={"linear": 0.875},
        num_parameters=1234,
        epochs=7,
        seconds=1.25,
        config_digest="a" * 64,
        data_digest="b" * 64,
        versions={"nnzoo": "0.1.0", "torch": "2.10"},
    )


def test_every_shipped_config_was_measured_as_it_is() -> None:
    downloaded = {name for name in shipped_configs() if isinstance(load_config(name).data, TorchvisionSet)}
    assert set(shipped_configs()) - set(RESULTS) <= downloaded
    assert set(RESULTS) <= set(shipped_configs())
    assert {name for name in RESULTS if RESULTS[name].config_digest != config_digest(name)} == set()
    assert all(len(each.seeds) == len(each.values) >= 3 for each in RESULTS.values())


@pytest.mark.parametrize("name", RESULTS)
def test_the_first_line_of_a_config_has_its_result(name: str) -> None:
    text = shipped_configs()[name].read_text(encoding="utf-8")
    assert with_claim(text, RESULTS[name]) == text
    assert text.split("\n")[0].endswith(claim(RESULTS[name]))


def test_the_table_has_all_results() -> None:
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert page[page.index("| config |") :] == f"{table(RESULTS)}\n"


def test_the_summary_in_the_file_follows_from_its_values() -> None:
    for entry in json.loads(results_file().read_text(encoding="utf-8")).values():
        assert entry["mean"] == pytest.approx(sum(entry["values"]) / len(entry["values"]), rel=1e-12)
        assert (entry["min"], entry["max"]) == (min(entry["values"]), max(entry["values"]))


def test_how_results_are_written() -> None:
    measured = result("test/accuracy", 0.9, 0.92, 0.94, baseline=1 / 3)
    assert claim(measured) == "Test accuracy 0.920 +- 0.020 (0.900 to 0.940, 3 seeds), baseline 0.333."
    assert claim(result("train/mse", 3.51e-5, 3.51e-5)) == "Train mse 3.51e-05 +- 0 (3.51e-05 to 3.51e-05, 2 seeds)."
    assert claim(result("test/rmse", 51234.56, 51236.56)).startswith("Test rmse 51235.6 +- 1.4 (51234.6 to 51236.6,")
    old = "# Clothes, with LeNet-5. Test accuracy 0.5 (seed 0), baseline 0.100.\ndata: moons\n"
    assert with_claim(old, measured) == f"# Clothes, with LeNet-5. {claim(measured)}\ndata: moons\n"
    assert with_claim(with_claim("# A comment.\n", measured), measured) == f"# A comment. {claim(measured)}\n"
    row = "| `b` | test/accuracy | 0.920 +- 0.020 | 0.900 to 0.940 | 3 | 0.333 | linear 0.875 | 1,234 | 7 | 1.2 |"
    expected = [f"{row} `aaaaaaaa` | `bbbbbbbb` |", "", "Measured with nnzoo 0.1.0, torch 2.10."]
    assert table({"b": measured}).split("\n")[2:] == expected


def test_the_metric_that_is_compared() -> None:
    assert headline(["train/loss", "train/accuracy", "test/loss", "test/accuracy", "test/f1"]) == "test/accuracy"
    assert headline(["test/loss", "test/mae", "test/rmse", "test/r2"]) == "test/rmse"
    assert headline(["test/accuracy", "test/perplexity"]) == "test/perplexity"
    assert headline(["train/loss", "train/accuracy"]) == "train/accuracy"


def test_the_digest_of_a_config_depends_only_on_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnzoo.config.load.shipped_configs", lambda: {"mine": tmp_path / "mine.yaml"})

    def digest(text: str) -> str:
        (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
        return config_digest("mine")

    first = digest("# A. Test accuracy 0.9.\ndata: iris\nmodel: {name: mlp, hidden: [8], dropout: 0.1}\n")
    assert digest("# B\nseed: 3\nmodel: {dropout: 0.1, name: mlp, hidden: [8]}\ndata: iris\n") == first
    assert digest("data: iris\nmodel: {name: mlp, hidden: [8], dropout: 0.2}\n") != first
    assert digest("data: wine\nmodel: {name: mlp, hidden: [8], dropout: 0.1}\n") != first


def test_a_killed_measurement_continues(
    tmp_path: Path, script: ModuleType, at_step: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = data_of("iris_mlp", download=False)
    whole = script.Cache(tmp_path / "whole", "iris_mlp", data).measure(3)
    cache = script.Cache(tmp_path / "killed", "iris_mlp", data)

    def kill() -> None:
        raise KeyboardInterrupt

    for step in (1, 40):
        with monkeypatch.context() as patch:
            at_step(step, kill)
            with pytest.raises(KeyboardInterrupt):
                cache.measure(3)
            patch.undo()
    resumed = cache.measure(3)
    assert resumed.metrics == whole.metrics
    assert resumed.epochs == whole.epochs
    assert cache.weights(3).read_bytes() == (tmp_path / "whole" / cache.folder.name / "seed3.safetensors").read_bytes()
    assert sorted(file.name for file in cache.folder.iterdir()) == ["seed3.json", "seed3.safetensors"]
    monkeypatch.setattr(script, "train_recipe", lambda *_: pytest.fail("a finished training is not repeated"))
    assert cache.measure(3) == resumed


def test_damaged_results(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    for text in ("", "[]", '{"iris_mlp": {}}', '{"iris_mlp": {"metric": 3}}'):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(RunError, match="the measured results can't be read"):
            read_results(file)
