"""The two published calculations by hand, which are shipped as configs, with every number that their texts print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nnzoo.cli.app import run

NINE = 5e-10
"""Half a unit of the ninth decimal place."""


def trace(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run(["trace", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)  # type: ignore[no-any-return]


def values(step: dict[str, Any]) -> dict[str, float]:
    """Returns the number of each equation by its name."""
    groups = [group for part in step["equations"].values() for group in part]
    return {each["name"]: each["value"] for group in groups for each in group["equations"]}


def test_backpropagation_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    """The network of Mazur's A Step by Step Backpropagation Example."""
    found = trace(capsys, "backpropagation")
    (step,) = found["steps"]
    given = {
        "x1": 0.05,
        "x2": 0.10,
        "t1": 0.01,
        "t2": 0.99,
        "z_h1": 0.3775,
        "h1": 0.593269992,
        "h2": 0.596884378,
        "z_o1": 1.105905967,
        "o1": 0.751365070,
        "o2": 0.772928465,
        "E": 0.298371109,
        "dE/do1": 0.741365070,
        "do1/dz_o1": 0.186815602,
        "dE/dz_o1": 0.138498562,
        "dE/dw5": 0.082167041,
        "dE/dh1": 0.036350306,
        "dh1/dz_h1": 0.241300709,
        "dE/dw1": 0.000438568,
        "w1+": 0.149780716,
        "w2+": 0.199561430,
        "w3+": 0.249751140,
        "w4+": 0.299502290,
        "w5+": 0.358916480,
        "w6+": 0.408666186,
        "w7+": 0.511301270,
        "w8+": 0.561370121,
    }
    shown = values(step)
    # The text prints three of the new weights with eight digits.
    rounded = {"w2+": 5e-9, "w3+": 5e-9, "w4+": 5e-9, "w5+": 5e-9}
    for name, value in given.items():
        assert shown[name] == pytest.approx(value, rel=0, abs=rounded.get(name, NINE)), name
    assert step["loss"] == pytest.approx(0.298371109, abs=NINE)
    assert step["loss_after"] == pytest.approx(0.2910277737, abs=5e-11)
    assert "b1+" not in shown


def test_the_text_of_backpropagation_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    """The whole text, as a reader compares it with a calculation on paper."""
    assert run(["trace", "backpropagation"]) == 0
    assert capsys.readouterr().out == (Path(__file__).parent / "backpropagation.txt").read_text(encoding="utf-8")


@pytest.mark.slow
def test_ten_thousand_steps(capsys: pytest.CaptureFixture[str]) -> None:
    found = trace(capsys, "backpropagation", "--steps", "10000")
    assert len(found["losses"]) == 10_000
    assert [step["step"] for step in found["steps"]] == [1, 10_000]
    assert found["losses"][1]["loss"] == pytest.approx(0.2910277737, abs=5e-11)
    assert found["steps"][-1]["loss_after"] == pytest.approx(3.5102e-5, abs=5e-10)


def test_one_gradient_step(capsys: pytest.CaptureFixture[str]) -> None:
    (step,) = trace(capsys, "one_unit")["steps"]
    shown = values(step)
    assert shown["z_o1"] == pytest.approx(0.07, abs=1e-15)
    assert shown["o1"] == pytest.approx(0.5174928577, abs=5e-11)
    assert shown["w1+"] + 0.8 == pytest.approx(-0.0039638031, abs=5e-11)
    assert shown["w2+"] - 0.5 == pytest.approx(-0.0118914092, abs=5e-11)


def test_one_gradient_step_with_the_mean_squared_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Without the half of the loss, half the learning rate gives the same step."""
    (step,) = trace(capsys, "one_unit", "loss=mse", "optimizer.lr=0.25")["steps"]
    shown = values(step)
    assert shown["w1+"] + 0.8 == pytest.approx(-0.0039638031, abs=5e-11)
    assert shown["w2+"] - 0.5 == pytest.approx(-0.0118914092, abs=5e-11)
