"""The regressor with the conventions of scikit-learn."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin

from nnzoo.config import Config
from nnzoo.estimators.base import Estimator


class NNRegressor(RegressorMixin, Estimator):
    """A regressor that trains a network of nnzoo, with the conventions of scikit-learn.

    Its parameters and attributes are those of `NNClassifier`, except `class_weight` and `classes_`. It has one or
    several targets, which are standardized unless the config sets `preprocess.scale_target`.
    """

    task = "regression"

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:  # noqa: N803
        """Trains the network.

        Args:
            X: An array (N, *) of numbers, or a data frame.
            y: (N,) or (N, K) the targets.
            sample_weight: (N,) the weight of each sample in the loss; samples of weight 0 are left out.

        Raises:
            ValueError: The data can't be used.
            NnzooError: The config can't be used, or the training failed.
        """
        x, targets, weights = self._checked(X, y, sample_weight, y_numeric=True)
        self._fit(x, targets.astype(np.float64), weights)
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Returns the predicted targets, (N,) or (N, K)."""
        outputs = self._outputs(X)
        values: NDArray[np.float64] = self.model_.decoder.on_cpu().values(outputs).numpy()
        return values[:, 0] if values.shape[1] == 1 else values

    def _resolved(self, config: Config) -> dict[str, Any]:
        is_auto = config.preprocess.scale_target == "auto"
        return super()._resolved(config) | ({"preprocess.scale_target": True} if is_auto else {})

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
