"""`nnzoo verify`: a shipped config is trained again, and its result repeats or not."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nnzoo.cli.app import run
from nnzoo.errors import UsageError
from nnzoo.recipes.results import Result, results_file
from nnzoo.recipes.verify import repeat_interval

Capture = pytest.CaptureFixture[str]
Change = Callable[..., None]


def measured(metric: str, *values: float) -> Result:
    entry: dict[str, Any] = json.loads(results_file().read_text(encoding="utf-8"))["iris_mlp"]
    kept = {key: value for key, value in entry.items() if key not in ("mean", "std", "min", "max")}
    changes = {"metric": metric, "values": list(values), "seeds": list(range(len(values))), "num_samples": 50}
    return Result.model_validate(kept | changes)


@pytest.fixture
def change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Change:
    """Returns a function that changes the measured result of iris_mlp."""

    def write(**values: object) -> None:
        entries = json.loads(results_file().read_text(encoding="utf-8"))
        entries["iris_mlp"] |= values
        file = tmp_path / "results.json"
        file.write_text(json.dumps(entries), encoding="utf-8")
        monkeypatch.setattr("nnzoo.recipes.results.results_file", lambda: file)

    return write


def test_the_interval() -> None:
    # The 99.5 % quantile of Student's t distribution with 4 degrees of freedom is 4.6041 in published tables.
    result = measured("test/accuracy", 0.80, 0.82, 0.84, 0.86, 0.88)
    half = 4.60409 * 0.0316228 * (1 + 1 / 5) ** 0.5
    assert repeat_interval(result, 1) == pytest.approx((0.84 - half, 0.84 + half), abs=1e-5)
    half = 4.60409 * 0.0316228 * (1 / 3 + 1 / 5) ** 0.5
    assert repeat_interval(result, 3) == pytest.approx((0.84 - half, 0.84 + half), abs=1e-5)
    # Without spread: one of 50 samples, or 1 % of other metrics.
    assert repeat_interval(measured("test/accuracy", 0.9, 0.9, 0.9), 1) == pytest.approx((0.88, 0.92), abs=1e-6)
    assert repeat_interval(measured("test/rmse", 50.0, 50.0), 1) == pytest.approx((49.5, 50.5), abs=1e-5)
    with pytest.raises(UsageError, match="single seed"):
        repeat_interval(measured("test/accuracy", 0.9), 1)


def test_a_result_repeats(capsys: Capture) -> None:
    assert run(["verify", "iris_mlp", "--seeds", "2", "--first-seed", "4", "--json", "-q"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["recipe"], found["metric"], found["seeds"]) == ("iris_mlp", "test/accuracy", [4, 5])
    assert found["repeats"] is True
    assert found["mean"] == pytest.approx(sum(found["values"]) / 2)
    assert found["interval"][0] <= found["mean"] <= found["interval"][1]
    assert "seeds that were not measured: 5" in found["notes"]
    assert not [note for note in found["notes"] if "data" in note or "config" in note]


def test_a_wrong_result_does_not_repeat(change: Change, capsys: Capture) -> None:
    change(values=[0.5, 0.51, 0.5, 0.51, 0.5], data_digest="0" * 64, config_digest="0" * 64, versions={"torch": "1.0"})
    assert run(["verify", "iris_mlp"]) == 5
    captured = capsys.readouterr()
    assert "the result repeats" not in captured.out
    assert "99 % prediction interval 0.47" in captured.out
    assert "iris_mlp: the result does not repeat: test/accuracy 0.9" in captured.err
    for cause in ("the data differs from the measured data", "the config has changed", "versions differ: torch "):
        assert cause in captured.err
    assert run(["verify", "iris_mlp", "--json"]) == 5
    failed = json.loads(capsys.readouterr().out)
    assert failed["error"]["kind"] == "gate"
    assert failed["repeats"] is False


def test_an_interrupted_verification(at_step: Callable[..., None], capsys: Capture) -> None:
    at_step(3, lambda: signal.raise_signal(signal.SIGINT))
    assert run(["verify", "iris_mlp"]) == 130
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "verify: interrupted; nothing was kept." in captured.err
    assert "--resume" not in captured.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["iris_mpl"], 2, "iris_mpl: is not a shipped config. Did you mean 'iris_mlp'?"),
        (["iris_mlp", "--data", "nowhere"], 2, "--data nowhere: is not a folder."),
        (["iris_mlp", "--seeds", "0"], 2, "greater than or equal to 1"),
        (["names_lstm"], 3, "Put it there, or set NNZOO_DATA to the folder of your data sets."),
    ],
)
def test_mistakes(
    arguments: list[str], code: int, message: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NNZOO_DATA", raising=False)
    assert run(["verify", *arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert "Traceback" not in captured.err
