"""The evaluator of expressions, and the functions without training."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from nnzoo.errors import UsageError
from nnzoo.lessons.expressions import check_expression, evaluate, names_in
from nnzoo.lessons.functions import formulas, maths
from nnzoo.lessons.results import bounds_of

FUNCTIONS = {**maths.FUNCTIONS, **formulas.FUNCTIONS}


def value(text: str, **values: Any) -> Any:
    return evaluate(text, FUNCTIONS, values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 + 3 * 4 ** 2", 50),
        ("-(7 // 2) % 4", 1),
        ("1 < 2 <= 2 and not 3 == 4", True),
        ("1 < x < 2", False),
        ("[i * j for i in range(1, 3) for j in [10, 20] if i * j > 10]", [20, 20, 40]),
        ("[a - b for a, b in zip([5, 7], [1, 2])]", [4, 5]),
        ("[1, 2, 3][1]", 2),
        ("'yes' if max([1, 5, 3]) == 5 else 'no'", "yes"),
        ("{'a': 1}['a']", 1),
        ("sum([1, 2] * [10, 100])", 210),
        ("mean([[1, 2], [3, 6]])", 3.0),
        ("share_below([0.1, -0.2, 3], 1)", pytest.approx(2 / 3)),
        ("median([3, 1, 2])", 2.0),
        ("close([1, 2], [1, 2.00001], 1e-4)", True),
        ("close([1, 2], [1, 2, 3], 1)", False),
        ("round(pi, 2)", 3.14),
        ("conv_size(227, 11, stride=4)", 55),
        ("len(grid(0, 1, 11))", 11),
    ],
)
def test_expressions(text: str, expected: Any) -> None:
    assert value(text, x=3) == expected


def test_lists_are_arrays_in_arithmetic() -> None:
    assert np.array_equal(value("[1, 2] + [10, 20]"), [11, 22])
    assert np.array_equal(value("2 * x", x=np.array([1.0, 3.0])), [2, 6])
    assert value("[1, 2] < [2, 3]") is True
    assert value("[1, 5] < [2, 3]") is False


def test_variables_of_a_comprehension_end_with_it() -> None:
    assert value("[i for i in [1, 2]][1] + i", i=40) == 42
    assert names_in("[i + y for i in x]") == {"x", "y"}


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "(1).__class__",
        "x.real",
        "lambda: 1",
        "(lambda: 1)()",
        "[].append(1)",
        "f'{x}'",
        "{i for i in x}",
        "(i for i in x)",
        "open('file')",
        "eval('1')",
        "x := 3",
        "*x",
        "range",
        "1 +",
        "",
        "2 ** 10_000_000",
        "mean(*x)",
        "[0 for x.a in [1]]",
    ],
)
def test_code_is_refused(text: str) -> None:
    with pytest.raises((UsageError, ValueError)):
        value(text, x=3)


def test_unknown_names_have_a_suggestion() -> None:
    with pytest.raises(UsageError, match=r"'meen' is not a function. Did you mean 'mean'\?"):
        value("meen([1])")
    with pytest.raises(ValueError, match=r"reads 'los', which is not defined. Did you mean 'loss'\?"):
        check_expression("los < 1", {"loss"})
    with pytest.raises(UsageError, match=r"'\[1\]\[4\]' can't be computed"):
        value("[1][4]")


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softplus", "elu", "gelu", "silu"])
def test_derivatives_equal_finite_differences(name: str) -> None:
    for x in (-2.0, -0.3, 0.4, 3.0):
        assert value("derivative(name, x)", name=name, x=x) == pytest.approx(
            value("finite_difference(name, x)", name=name, x=x), abs=1e-8
        )


def test_formulas_equal_closed_forms() -> None:
    assert value("activation('sigmoid', 0.07)") == pytest.approx(1 / (1 + math.exp(-0.07)), abs=1e-12)
    assert value("max(derivative('sigmoid', grid(-6, 6, 121)))") == pytest.approx(0.25)
    assert np.allclose(value("activation('softmax', [[1, 2, 3]])").sum(), 1)
    assert value("loss('mse', [[1.0], [3.0]], [[0.0], [0.0]])") == pytest.approx(5)
    assert value("loss('huber', [[3.0]], [[0.0]], delta=1.0)") == pytest.approx(2.5)
    assert value("loss('cross_entropy', [[0.0, 0.0]], [1])") == pytest.approx(math.log(2))
    assert value("loss('bce', [[0.0]], [[1.0]])") == pytest.approx(math.log(2))
    assert np.allclose(value("loss_gradient('mse', [[3.0]], [[1.0]])"), 4)
    assert np.allclose(value("losses('l1', [1, -2], [0, 0])"), [1, 2])


def test_convolution_and_pooling_of_an_edge() -> None:
    image = "[[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]]"
    sobel = "[[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]"
    assert np.array_equal(value(f"convolve({image}, {sobel})"), [[4, 4], [4, 4]])
    assert np.array_equal(value(f"convolve({image}, [[-1, 1]])")[0], [0, 1, 0])
    assert np.array_equal(value(f"pool({image}, 'max', 2)"), [[0, 1], [0, 1]])
    assert np.array_equal(value(f"pool({image}, 'avg', 4)"), [[0.5]])
    assert value(f"shape(convolve({image}, {sobel}, padding=1))") == [4, 4]


def test_whitened_data_has_the_identity_as_covariance() -> None:
    rows = "normal(200, 2, seed=1) @ [[3, 1], [0, 0.2]]"
    white = value(f"covariance(preprocess({rows}, pca=2, whiten=True))")
    assert np.allclose(white, np.eye(2), atol=0.02)


def test_every_function_has_a_docstring() -> None:
    for name, function in FUNCTIONS.items():
        assert (function.__doc__ or "").startswith("Returns "), name


def test_bounds_are_shown_as_numbers() -> None:
    values = {"loss": 0.25, "wide": 0.125, "count": 51.0}
    checks = ["loss > wide", "loss < 2 * wide + 0.5", "loss <= count", "wide < 0.9", "loss < 1e-3"]
    assert bounds_of(checks, "loss", {}, values) == "> 0.1250, < 0.7500, <= 51, < 0.001"
    assert bounds_of(checks, "count", {}, values) == ""
