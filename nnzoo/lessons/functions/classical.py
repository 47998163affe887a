"""Classical models of scikit-learn, as references for networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nnzoo.lessons.functions.maths import Array


def logistic_regression(rows: ArrayLike, classes: ArrayLike, l2: float) -> Array:
    """Returns the weights and the bias of scikit-learn's logistic regression of two classes, with an L2 penalty."""
    from sklearn.linear_model import LogisticRegression

    x = np.asarray(rows, float)
    return _coefficients(LogisticRegression(C=_c(x, l2), tol=1e-8).fit(x, np.asarray(classes)))


def linear_svm(rows: ArrayLike, classes: ArrayLike, l2: float) -> Array:
    """Returns the weights and the bias of scikit-learn's linear SVM of two classes, with an L2 penalty."""
    from sklearn.svm import SVC

    x = np.asarray(rows, float)
    return _coefficients(SVC(kernel="linear", C=_c(x, l2), tol=1e-8).fit(x, np.asarray(classes)))


def support_vectors(rows: ArrayLike, classes: ArrayLike, l2: float) -> Array:
    """Returns the indices of the support vectors of scikit-learn's linear SVM, in order."""
    from sklearn.svm import SVC

    x = np.asarray(rows, float)
    found: Array = np.sort(SVC(kernel="linear", C=_c(x, l2), tol=1e-8).fit(x, np.asarray(classes)).support_)
    return found


def _c(rows: Array, l2: float) -> float:
    """Returns the C of scikit-learn, which sums the losses and halves the squared weights, for a penalty of nnzoo."""
    return 1 / (2 * float(l2) * len(rows))


def _coefficients(model: Any) -> Array:
    return np.concatenate([model.coef_[0], model.intercept_])


FUNCTIONS: dict[str, Callable[..., Any]] = {
    each.__name__: each for each in (logistic_regression, linear_svm, support_vectors)
}
"""The functions by the name that expressions use."""
