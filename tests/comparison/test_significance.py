"""The tests of significance, against their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from nnzoo.comparison.significance import SignificanceTest, bootstrap_test, mcnemar_test, seeds_test, with_holm

pytestmark = pytest.mark.page


def test_welch_is_that_of_the_formula() -> None:
    a, b = [0.91, 0.93, 0.97, 0.90], [0.85, 0.84, 0.90]
    found = seeds_test("test/accuracy", a, b)
    parts = [np.var(each, ddof=1) / len(each) for each in (a, b)]
    t = (np.mean(a) - np.mean(b)) / math.sqrt(sum(parts))
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 3 + parts[1] ** 2 / 2)
    assert found is not None
    assert found.name == "Welch's t-test"
    assert found.p == pytest.approx(2 * stats.t.sf(abs(t), freedom), rel=1e-9)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(sum(parts))
    assert found.interval == pytest.approx((found.difference - half, found.difference + half), rel=1e-9)
    assert found.difference == pytest.approx(np.mean(a) - np.mean(b))


def test_groups_without_spread_get_a_permutation_test() -> None:
    """Of the 20 ways to divide 6 values into 3 and 3, two are as extreme as the observed one."""
    found = seeds_test("test/accuracy", [1.0, 1.0, 1.0], [0.5, 0.5, 0.5])
    assert found is not None
    assert (found.name, found.difference) == ("permutation test", 0.5)
    assert found.p == pytest.approx(0.1)
    equal = seeds_test("test/accuracy", [0.5, 0.5], [0.5, 0.5])
    assert equal is not None
    assert equal.p == 1


@pytest.mark.parametrize("values", [([], [1.0, 2.0]), ([1.0], [1.0, 2.0])])
def test_one_seed_has_no_spread(values: tuple[list[float], list[float]]) -> None:
    assert seeds_test("test/loss", *values) is None


@pytest.mark.parametrize(("only_a", "only_b"), [(9, 2), (2, 9), (1, 0), (0, 0), (5, 5), (30, 8)])
def test_mcnemar_is_the_exact_binomial_test(only_a: int, only_b: int) -> None:
    a = np.array([1.0] * only_a + [0.0] * only_b + [1.0] * 7 + [0.0] * 3)
    b = np.array([0.0] * only_a + [1.0] * only_b + [1.0] * 7 + [0.0] * 3)
    found = mcnemar_test("accuracy", a, b)
    assert found is not None
    n, smaller = only_a + only_b, min(only_a, only_b)
    expected = min(1.0, 2 * sum(math.comb(n, k) for k in range(smaller + 1)) / 2**n)
    assert found.p == pytest.approx(expected)
    assert found.difference == pytest.approx(a.mean() - b.mean())
    assert found.counts == {"rows": n + 10, "right_only_in_a": only_a, "right_only_in_b": only_b}


def test_the_bootstrap_of_a_mean_approaches_the_normal_interval() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(1.0, 1, (2000, 1)), rng.normal(1.05, 1, (2000, 1))
    found = bootstrap_test("mae", a, b, range(2000))
    assert found is not None
    assert found.interval is not None
    error = (a - b).std(ddof=1) / math.sqrt(2000)
    assert found.difference == pytest.approx((a - b).mean())
    assert found.interval == pytest.approx(
        (found.difference - 1.96 * error, found.difference + 1.96 * error), abs=0.004
    )
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(found.difference) / error), abs=0.02)


def test_the_bootstrap_resamples_dependent_rows_together() -> None:
    """Ten copies of each row give the same result as the rows alone."""
    rng = np.random.default_rng(2)
    a, b = rng.random((40, 2)), rng.random((40, 2))
    single = bootstrap_test("rmse", a, b, range(40), root=True)
    copied = bootstrap_test("rmse", a.repeat(10, 0), b.repeat(10, 0), np.arange(40).repeat(10).tolist(), root=True)
    assert single is not None
    assert copied is not None
    assert copied.p == single.p
    assert copied.interval == pytest.approx(single.interval)
    assert single.difference == pytest.approx((np.sqrt(a.mean(0)) - np.sqrt(b.mean(0))).mean())
    assert (copied.counts["rows"], copied.counts["samples"]) == (400, 40)


def test_equal_scores_are_not_different() -> None:
    found = bootstrap_test("mae", np.ones((5, 1)), np.ones((5, 1)), range(5))
    assert found is not None
    assert (found.p, found.interval) == (1, (0, 0))
    assert bootstrap_test("mae", np.ones((3, 1)), np.zeros((3, 1)), [0, 0, 0]) is None


def test_holm() -> None:
    tests = [SignificanceTest("t", "x", 0.0, p, p, None, {}) for p in (0.01, 0.04, 0.03)]
    corrected = with_holm([tests[0], None, *tests[1:]])
    assert [test and test.adjusted_p for test in corrected] == [pytest.approx(0.03), None, 0.06, 0.06]
    assert [test and test.is_significant for test in corrected] == [True, None, False, False]
