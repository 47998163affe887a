"""Statistical tests of the difference between two groups of runs. The tests are those of SciPy."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALPHA = 0.05
"""A difference with a p-value below this is called significant."""
NUM_RESAMPLES = 9999
MAX_DRAWN = 100_000_000
"""The maximum number of samples in all resamples together; there are at least 999 resamples."""
MAX_PERMUTATIONS = 20_000
"""More permutations than this are sampled instead of enumerated."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class SignificanceTest:
    """The result of a test of the difference between A and B.

    Attributes:
        name: The name of the test.
        quantity: The quantity that is compared.
        difference: Its value for A minus its value for B.
        p: The two-sided p-value.
        adjusted_p: The p-value after Holm's correction for the number of tested pairs.
        interval: The 95 % confidence interval of the difference; None if the test has none.
        counts: The sizes that the test used, by name.
    """

    name: str
    quantity: str
    difference: float
    p: float
    adjusted_p: float
    interval: tuple[float, float] | None
    counts: dict[str, int]

    @property
    def is_significant(self) -> bool:
        """Whether the corrected p-value is below 0.05."""
        return self.adjusted_p < ALPHA

    def as_dict(self) -> dict[str, Any]:
        """Returns the test as plain values."""
        return {**vars(self), "interval": self.interval and list(self.interval), "significant": self.is_significant}


def seeds_test(quantity: str, a: Sequence[float], b: Sequence[float]) -> SignificanceTest | None:
    """Tests whether the means of two groups of trainings differ by more than the spread of their seeds.

    Welch's t-test, which does not assume equal variances. If neither group varies at all, the t-test is undefined,
    and a permutation test of the difference of the means is used.

    Args:
        quantity: The name of the metric.
        a: Its values of A, one per seed.
        b: Its values of B.

    Returns:
        The test; None if a group has fewer than two values.
    """
    from scipy import stats

    if min(len(a), len(b)) < 2:
        return None
    difference = math.fsum(a) / len(a) - math.fsum(b) / len(b)
    counts = {"seeds_a": len(a), "seeds_b": len(b)}
    if min(a) < max(a) or min(b) < max(b):
        with warnings.catch_warnings():
            # SciPy warns if the values of one group are almost equal, which is not a problem of the other group.
            warnings.simplefilter("ignore", RuntimeWarning)
            welch = stats.ttest_ind(a, b, equal_var=False)
            bounds = welch.confidence_interval(0.95)
        p, interval = float(welch.pvalue), (float(bounds.low), float(bounds.high))
        return SignificanceTest("Welch's t-test", quantity, difference, p, p, interval, counts)
    p = 1.0
    if a[0] != b[0]:
        permuted = stats.permutation_test(
            (np.asarray(a), np.asarray(b)),
            lambda x, y, axis: np.mean(x, axis=axis) - np.mean(y, axis=axis),
            vectorized=True,
            n_resamples=MAX_PERMUTATIONS,
            random_state=np.random.default_rng(0),
        )
        p = float(permuted.pvalue)
    return SignificanceTest("permutation test", quantity, difference, p, p, None, counts)


def mcnemar_test(quantity: str, a: Values, b: Values) -> SignificanceTest | None:
    """Tests whether two classifiers are right on the same number of samples: the exact test of McNemar (1947).

    Args:
        quantity: The name of the metric.
        a: (N,) 1 where A is right, else 0.
        b: (N,) the same of B.

    Returns:
        The test; None if there are no samples.
    """
    from scipy import stats

    if len(a) == 0:
        return None
    only_a, only_b = int(((a == 1) & (b == 0)).sum()), int(((a == 0) & (b == 1)).sum())
    p = float(stats.binomtest(only_a, only_a + only_b, 0.5).pvalue) if only_a + only_b else 1.0
    counts = {"rows": len(a), "right_only_in_a": only_a, "right_only_in_b": only_b}
    return SignificanceTest("McNemar's exact test", quantity, (only_a - only_b) / len(a), p, p, None, counts)


def bootstrap_test(
    quantity: str, a: Values, b: Values, samples: Sequence[Any], *, root: bool = False
) -> SignificanceTest | None:
    """Tests whether the mean score of two runs on the same rows differs: the paired bootstrap (Efron 1979).

    Rows of one sample are not independent, so they are resampled together. The interval has the 2.5 % and the 97.5 %
    quantile of the resampled differences. p is twice the share of resamples in which the difference has the other sign
    or is 0, with 1 added to the numerator and to the denominator.

    Args:
        quantity: The name of the metric.
        a: (N, K) the scores of A for each of K labels or targets; the metric is their mean over N, then over K.
        b: (N, K) the scores of B on the same rows.
        samples: (N,) the sample that each row belongs to.
        root: Whether the root of the mean over N is taken, as in the rmse.

    Returns:
        The test; None if there are fewer than two samples.
    """
    from scipy import stats

    numbers = {sample: number for number, sample in enumerate(dict.fromkeys(samples))}
    owners = np.array([numbers[sample] for sample in samples], dtype=np.int64)
    if len(numbers) < 2:
        return None
    counts = {"rows": len(a), "samples": len(numbers)}
    sums = [np.zeros((len(numbers), a.shape[1])) for _ in range(2)]
    for total, scores in zip(sums, (a, b), strict=True):
        np.add.at(total, owners, scores)
    sizes = np.bincount(owners).astype(np.float64)

    def difference(rows: NDArray[np.int64], axis: int = -1) -> Any:
        # rows: (..., S) -> sums: (..., S, K) -> means over rows: (..., K)
        num_rows = sizes[rows].sum(axis=axis)[..., None]
        means = [total[rows].sum(axis=rows.ndim - 1) / num_rows for total in sums]
        means = [np.sqrt(mean) for mean in means] if root else means
        return (means[0] - means[1]).mean(-1)

    every = np.arange(len(numbers))
    if np.array_equal(sums[0], sums[1]):
        return SignificanceTest("paired bootstrap", quantity, 0.0, 1.0, 1.0, (0.0, 0.0), counts)
    resamples = stats.bootstrap(
        (every,),
        difference,
        vectorized=True,
        n_resamples=max(999, min(NUM_RESAMPLES, MAX_DRAWN // sums[0].size)),
        batch=max(1, 2_000_000 // sums[0].size),
        method="percentile",
        random_state=np.random.default_rng(0),
    )
    drawn, bounds = resamples.bootstrap_distribution, resamples.confidence_interval
    tail = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    p = min(1.0, 2 * (tail + 1) / (len(drawn) + 1))
    interval = (float(bounds.low), float(bounds.high))
    return SignificanceTest("paired bootstrap", quantity, float(difference(every)), p, p, interval, counts)


def with_holm(tests: Sequence[SignificanceTest | None]) -> list[SignificanceTest | None]:
    """Returns the tests with p-values that are corrected for their number, as Holm (1979) does.

    With m tests, the i-th smallest p-value (i from 0) is multiplied by m - i. It is at least as large as the corrected
    smaller ones, and at most 1.
    """
    present = sorted((test.p, index) for index, test in enumerate(tests) if test is not None)
    corrected, largest = list(tests), 0.0
    for rank, (p, index) in enumerate(present):
        largest = max(largest, min(1.0, p * (len(present) - rank)))
        test = tests[index]
        assert test is not None
        corrected[index] = replace(test, adjusted_p=largest)
    return corrected
