"""The formats of a trace: LaTeX, HTML and JSON say the same as the text."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import accessibility
import latex_grammar
import pytest

from nnzoo.cli.app import run
from nnzoo.trace.explain import Trace
from nnzoo.trace.expression import Call, Frac, Neg, Num, Pow, Prod, Sum, Var, shown
from nnzoo.trace.html import html
from nnzoo.trace.latex import LATEX, latex
from nnzoo.trace.mathml import MATHML
from nnzoo.trace.notation import TEXT
from nnzoo.trace.run import trace_config

IMAGES = {"name": "random", "shape": [2, 6, 7], "classes": 3, "samples": 12, "split": {"val": 0, "test": 0}}
SEQUENCES = {"name": "random", "shape": [5, 2], "classes": 3, "samples": 12, "split": {"val": 0, "test": 0}}
MLP = {"name": "mlp", "hidden": [4, 3], "activation": "maxout", "batch_norm": True, "dropout": 0.3}
CONV = {"conv": {"out_channels": 2, "kernel_size": 3, "activation": "prelu", "batch_norm": True}}
CNN = {"name": "cnn", "blocks": [CONV, {"pool": {"kind": "max", "kernel_size": 2}}], "head": [3]}
CLIPPED = {"batch_size": 6, "clip_grad_norm": 0.1}
PENALTIES = {"l1": 0.01, "l2": 0.1}
CASES: dict[str, dict[str, Any]] = {
    "mlp": {"data": "iris", "model": MLP, "optimizer": "nadam", "loss": "focal", "regularization": PENALTIES},
    "cnn": {"data": IMAGES, "model": CNN, "optimizer": "radam", "loss": "kl_div", "train": CLIPPED},
    "lstm": {
        "data": SEQUENCES,
        "model": {"name": "lstm", "hidden_size": 3, "bidirectional": True, "pooling": "max"},
        "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        "loss": "multi_margin",
    },
    "gru": {"data": SEQUENCES, "model": {"name": "gru", "hidden_size": 3}, "optimizer": "rprop", "loss": "hinge"},
}


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trace]:
    """A step of networks of all kinds, and of one whose columns have hostile names."""
    hostile = ["a_b & 50% {#1} $x$ \\end{align*}", "温度 <script>alert(1)</script>", "é^~|"]
    rows = [f"{i},{i % 3},{(i * 7) % 5},{'yn'[i % 2]}" for i in range(40)]
    path = tmp_path_factory.mktemp("hostile") / "a & b.csv"
    path.write_text("\n".join([",".join([*hostile, "label"]), *rows]), encoding="utf-8")
    data = {"name": "csv", "path": str(path), "target": "label"}
    cases = {**CASES, "hostile": {"data": data, "model": {"name": "mlp", "hidden": [3]}}}
    return {name: trace_config({"train": {"batch_size": 6}, **case}, num_steps=1) for name, case in cases.items()}


@pytest.mark.parametrize("name", [*CASES, "hostile"])
def test_latex_is_well_formed_and_has_every_number(traces: dict[str, Trace], name: str) -> None:
    document = latex(traces[name])
    assert latex_grammar.problems_of(document) == []
    for step in traces[name].steps:
        for equation in [each for _, groups in step.parts() for group in groups for each in group.equations]:
            assert f"&= {LATEX.number(equation.value)}" in document


def test_the_grammar_finds_mistakes(traces: dict[str, Trace]) -> None:
    good = latex(traces["gru"])
    for right, wrong in (
        (r"\end{align*}", r"\end{align}"),
        ("x_{1}", "x_{1"),
        ("x_{1}", "x_{1}_{2}"),
        ("x_{1}", "x_1"),
        (r"\cdot", r"\cdott"),
        (r"\frac{", r"\frac "),
        (r"\section*{", r"\section*{50% "),
        (r"\usepackage{amsmath}", r"\usepackage{siunitx}"),
        ("&= ", "= "),
    ):
        assert right in good
        assert latex_grammar.problems_of(good.replace(right, wrong, 1)), wrong


@pytest.mark.parametrize("name", [*CASES, "hostile"])
def test_the_page_is_accessible_and_its_formulas_are_mathml(traces: dict[str, Trace], name: str) -> None:
    page = html(traces[name])
    if name in ("gru", "hostile"):  # the others have the same parts
        assert accessibility.problems_of(page) == []
    assert "<script>alert" not in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    formulas = re.findall(r"<math>.*?</math>", page)
    known = {"math", "mi", "mn", "mo", "mtext", "mrow", "mfrac", "msup", "msub", "msubsup", "msqrt", "mover"}
    children = {"mfrac": 2, "msup": 2, "msub": 2, "mover": 2, "msubsup": 3}
    for formula in dict.fromkeys(formulas):
        for element in ET.fromstring(formula).iter():
            assert element.tag in known
            assert len(element) == children.get(element.tag, len(element)), formula
    items = re.findall(r"<li>(<math>.*?)</li>", page)
    equations = [
        each
        for step in traces[name].steps
        for _, groups in step.parts()
        for group in groups
        for each in group.equations
    ]
    assert len(items) == len(equations)
    for item, equation in zip(items, equations, strict=True):
        assert MATHML.number(equation.value) in item


def test_parentheses() -> None:
    a, b, tiny = Var("a", -2.0), Var("w5", 3.0), Var("x[2]", 1e-6)
    power, highest = Pow(tiny, Num(2)), Call("max", [Num(0), Frac(a, b)], max)
    formulas = [
        (Sum([b, Prod([a, b])]), "w5 + a * w5", "3 + (-2) * 3", "3 + (-2) \\cdot 3"),
        (Sum([b, Neg(Sum([a, b]))]), "w5 - (a + w5)", "3 - (-2 + 3)", "3 - (-2 + 3)"),
        (Prod([Sum([a, b]), a]), "(a + w5) * a", "(-2 + 3) * (-2)", "(-2 + 3) \\cdot (-2)"),
        (Frac(Neg(a), Prod([a, b])), "(-a) / (a * w5)", "(-(-2)) / (-2 * 3)", "\\frac{-(-2)}{-2 \\cdot 3}"),
        (power, "x[2]^2", "1e-06^2", "(1 \\cdot 10^{-6})^{2}"),
        (highest, "max(0, a / w5)", "max(0, (-2) / 3)", "\\max\\bigl(0, \\frac{-2}{3}\\bigr)"),
        (Sum([b], 2, -0.5), "w5 + (2 more terms)", "3 + (2 more terms: -0.5)", "3 + (\\text{2 more terms: }-0.5)"),
        (Sum([]), "0", "0", "0"),
    ]
    for formula, symbols, numbers, typeset in formulas:
        assert TEXT.of(formula, numbers=False) == symbols
        assert TEXT.of(formula, numbers=True) == numbers
        assert LATEX.of(formula, numbers=True) == typeset
    assert LATEX.of(power, numbers=False) == "(x^{[2]})^{2}"


def test_symbols_are_typeset() -> None:
    for name, expected in {
        "dE/dw_h2.1[1,3]": r"\frac{\partial E}{\partial w_{h_{2.1}}^{[1,3]}}",
        "v_w5+": "v_{w_{5}}^{+}",
        "z1_h2": "z_{1,h_{2}}",
        "mhat_w1": r"\hat{m}_{w_{1}}",
        "beta2": r"\beta_{2}",
        "weight_decay": r"\mathrm{weight\_decay}",
        "h1[2;1]": "h_{1}^{[2;1]}",
    }.items():
        assert LATEX.symbol(name) == expected


def test_long_formulas_are_broken_where_they_are_least_nested() -> None:
    terms = [Prod([Var(f"w{i}", i / 8), Sum([Var(f"x{i}", 0.25), Num(-1)])]) for i in range(1, 6)]
    formula = Frac(Sum(terms), Num(5))
    pieces = LATEX.pieces(formula, numbers=True)
    assert "".join(pieces) == LATEX.of(formula, numbers=True)
    assert [piece[:3] for piece in pieces] == ["(0.", *[" + "] * 4, " / "]
    assert math.isclose(formula.evaluate(), 15 / 8 * -0.75 / 5)
    assert len(TEXT.pieces(Var("w1", 1.0), numbers=True)) == 1


def test_formats_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["trace", "backpropagation", "--format", "json"]) == 0
    as_json = capsys.readouterr().out
    assert run(["trace", "backpropagation", "--json"]) == 0
    assert capsys.readouterr().out == as_json
    assert run(["trace", "one_unit", "--steps", "12", "--format", "latex"]) == 0
    document = capsys.readouterr().out
    assert latex_grammar.problems_of(document) == []
    assert "12 & 0.5 & " in document
    assert run(["trace", "one_unit", "--format", "html", "--output", "page.html"]) == 0
    assert capsys.readouterr().out == "page.html\n"
    before = Path("page.html").read_text(encoding="utf-8")
    assert run(["trace", "one_unit", "optimizer.lr=1", "--format", "html", "--output", "page.html"]) == 2
    assert "the file exists" in capsys.readouterr().err
    assert Path("page.html").read_text(encoding="utf-8") == before
    assert run(["trace", "one_unit", "optimizer.lr=1", "--format=html", "--output", "page.html", "--overwrite"]) == 0
    assert Path("page.html").read_text(encoding="utf-8") != before
    capsys.readouterr()
    assert run(["trace", "one_unit", "--json", "--output", "one.json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"output": "one.json"}
    (step,) = json.loads(Path("one.json").read_text(encoding="utf-8"))["steps"]
    assert shown(step["outputs"][0][0]) == "0.517492858"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "pdf"], "expected text, latex, html or json, got 'pdf'"),
        (["--output", "missing/page.html"], "the folder missing does not exist"),
        (["--output", "."], "is a folder"),
        (["--weights", "w1"], "Add --plot"),
        (["--plot", "--weights", "w9"], "there is no such trained weight. Weights are w1, w2"),
        (["--plot", "--weights", "b1"], "there is no such trained weight"),
        (["--plot", "--weights", "w1,w1"], "expected one weight, or two different ones"),
        (["--plot", "--weights", "w1,w2,w3"], "expected one weight, or two different ones"),
        (["--plot", "--weights", "output.linear.weight[0,2]"], r"The parameters are output.linear.weight\[2, 2\]"),
    ],
)
def test_wrong_options(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["trace", "backpropagation", *arguments]) == 2
    assert re.search(message, capsys.readouterr().err)
