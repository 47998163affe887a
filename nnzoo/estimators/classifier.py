"""The classifier with the conventions of scikit-learn."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from torch import Tensor

from nnzoo.config import ConfigLike, load_config
from nnzoo.config.choices import resolved_loss
from nnzoo.config.data.delimited import MISSING
from nnzoo.errors import NnzooError
from nnzoo.estimators.base import Estimator
from nnzoo.estimators.settings import config_of


def _gives_probabilities(estimator: NNClassifier) -> bool:
    """Returns whether the loss gives probabilities, which margin losses do not."""
    if hasattr(estimator, "model_"):
        return estimator.model_.decoder.reads != "margins"
    section = {"name": "memory", "digest": ""}
    try:
        config = load_config(config_of(estimator.config), estimator._overrides(), data=section)
    except NnzooError:
        return True  # the error is raised by `fit`
    loss = resolved_loss(config, config.data.facts())
    return loss is None or loss.reads != "margins"


class NNClassifier(ClassifierMixin, Estimator):
    """A classifier that trains a network of nnzoo, with the conventions of scikit-learn.

    Inputs are arrays (N, F), sequences (N, T, F), images (N, C, H, W), or a data frame. A data frame is read like a
    table: with text and categorical columns, dates, and missing values. Arrays are numbers without missing values.

    `fit` trains on all samples. A val split is taken only if the config sets `data.split.val`, and a test split never:
    without a val split, `train/loss` selects the best weights and stops the training. The fit is quiet and leaves no
    files unless `runs_dir` is set.

    Keys of the sections can be set and searched with two underscores for a dot: `set_params(optimizer__lr=0.01)`, or
    `GridSearchCV(NNClassifier(), {"optimizer__lr": [0.01, 0.001]})`.

    Args:
        config: A path, the name of a shipped config, a dict or a config, whose data is replaced by that of `fit`; None
            for an MLP that trains for at most 200 epochs.
        data: The section `data` of the config, merged into it: a dict. Keys such as `split` and `layout` apply.
        preprocess: Like `data`.
        augment: The list of augmentations.
        model: The section `model`: a dict, or the name of a model.
        init: Like `model`.
        loss: Like `model`.
        optimizer: Like `model`.
        scheduler: Like `model`.
        regularization: Like `data`.
        train: Like `data`.
        class_weight: Weights of the classes in the loss, `{class: weight}`; "balanced" for weights that are inversely
            proportional to the number of samples.
        random_state: The seed; None for that of the config, by default 0, so that fits are reproducible.
        runs_dir: A folder for the run directory of each fit; None to keep none.
        verbose: Whether to show the summary and the progress.

    Attributes:
        classes_: (K,) the classes, sorted; for multilabel targets, the numbers of the labels.
        model_: The trained network, as returned by `nnzoo.load`.
        history_: The metrics of each epoch by name, such as "train/loss".
        n_iter_: The number of epochs.
        run_dir_: The run directory, if `runs_dir` is set.
        n_features_in_: The number of features.
        feature_names_in_: The names of the columns of a data frame.
    """

    task = "classification"

    def __init__(
        self,
        config: ConfigLike | None = None,
        *,
        data: Mapping[str, Any] | None = None,
        preprocess: Mapping[str, Any] | None = None,
        augment: Sequence[Any] | None = None,
        model: str | Mapping[str, Any] | None = None,
        init: str | Mapping[str, Any] | None = None,
        loss: str | Mapping[str, Any] | None = None,
        optimizer: str | Mapping[str, Any] | None = None,
        scheduler: str | Mapping[str, Any] | None = None,
        regularization: Mapping[str, Any] | None = None,
        train: Mapping[str, Any] | None = None,
        class_weight: str | Mapping[Any, float] | None = None,
        random_state: int | np.random.RandomState | None = None,
        runs_dir: str | os.PathLike[str] | None = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(
            config,
            data=data,
            preprocess=preprocess,
            augment=augment,
            model=model,
            init=init,
            loss=loss,
            optimizer=optimizer,
            scheduler=scheduler,
            regularization=regularization,
            train=train,
            random_state=random_state,
            runs_dir=runs_dir,
            verbose=verbose,
        )
        self.class_weight = class_weight

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:  # noqa: N803
        """Trains the network.

        Args:
            X: An array (N, *) of numbers, or a data frame.
            y: (N,) the class of each sample, or (N, K) zeros and ones for several labels per sample.
            sample_weight: (N,) the weight of each sample in the loss; samples of weight 0 are left out.

        Raises:
            ValueError: The data can't be used.
            NnzooError: The config can't be used, or the training failed.
        """
        x, y, weights = self._checked(X, y, sample_weight)
        y = column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
        check_classification_targets(y)
        kind = type_of_target(y)
        if kind == "multiclass-multioutput":
            raise ValueError("multiclass-multioutput targets are not supported. Pass one class per sample.")
        if self.class_weight is not None:
            balance = compute_sample_weight(self.class_weight, y)
            weights = balance if weights is None else balance * weights
        self._is_multilabel = kind == "multilabel-indicator"
        if self._is_multilabel:
            self.classes_ = np.arange(y.shape[1])
            self._order = self.classes_
            self._fit(x, y.astype(np.int64), weights)
            return self
        self.classes_, indices = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"a classifier needs two classes, but there is only one class ({self.classes_[0]!r}).")
        names = _names(self.classes_)
        self._fit(x, names[indices], weights)
        self._order = np.array([self.model_.classes.index(name) for name in names])
        return self

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Returns the class of each sample, (N,), or (N, K) zeros and ones for several labels per sample."""
        outputs = self._outputs(X)
        labels = self.model_.decoder.on_cpu().labels(outputs).numpy()
        if self._is_multilabel:
            return labels
        predicted: NDArray[Any] = self.classes_[np.argsort(self._order)[labels]]
        return predicted

    @available_if(_gives_probabilities)
    def predict_proba(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Returns the probability of each class, (N, K), or of each label. Margin losses have none."""
        outputs = self._outputs(X)
        return self.model_.decoder.probabilities(outputs.double()).numpy()[:, self._order]

    @available_if(_gives_probabilities)
    def predict_log_proba(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Returns the logarithm of `predict_proba`, (N, K)."""
        outputs = self._outputs(X)
        if self._is_multilabel:
            return self.model_.decoder.probabilities(outputs.double()).log().numpy()
        return self.model_.decoder.log_probabilities(outputs.double()).numpy()[:, self._order]

    def decision_function(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Returns the score of each class, (N, K): the class with the largest one is predicted.

        For two classes, (N,): above 0, `classes_[1]` is predicted. For several labels per sample, (N, K): above 0, a
        label is predicted.
        """
        outputs = self._outputs(X).double()
        return self._scores(outputs).numpy()

    def _scores(self, outputs: Tensor) -> Tensor:
        decoder = self.model_.decoder
        if self._is_multilabel:
            return outputs - decoder.threshold
        if len(self.classes_) > 2:
            return outputs[:, self._order]
        second = outputs[:, 0] - decoder.threshold if outputs.shape[1] == 1 else outputs[:, 1] - outputs[:, 0]
        return second if self._order[1] == 1 else -second

    def _task(self) -> str:
        return "multilabel" if getattr(self, "_is_multilabel", False) else "classification"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


_SAFE = re.compile(r"[A-Za-z][\w.-]*( [\w.-]+)*|0|-?[1-9][0-9]*")


def _names(classes: NDArray[Any]) -> NDArray[np.str_]:
    """Returns the name of each class for nnzoo: itself as text, or its number if a table could read the text otherwise.

    Spaces around a text and the words for missing values, such as NA, have a meaning in tables.
    """
    names = [str(each) for each in classes.tolist()]
    missing = {word.lower() for word in MISSING}
    are_safe = all(_SAFE.fullmatch(name) and name.lower() not in missing for name in names)
    if not are_safe or len({name.lower() for name in names}) < len(names):
        names = [str(index) for index in range(len(names))]
    return np.array(names)
