"""The base class of the estimators: parameters, fitting, and pickling through the artifact."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, check_is_fitted, validate_data
from torch import Tensor

from nnzoo.config import Config, ConfigLike, load_config
from nnzoo.data.memory import WEIGHTS, data_in_memory, is_frame
from nnzoo.data.tables.frames import columns_of
from nnzoo.doctor.brief import verdicts
from nnzoo.errors import InterruptedRunError, UsageError
from nnzoo.estimators.settings import SECTIONS, WITHOUT_RUN, config_of, keys_below, overrides_of, with_key
from nnzoo.experiment.load import TrainedModel, load
from nnzoo.experiment.train.finished import Run
from nnzoo.experiment.train.run import train
from nnzoo.report.write import write_report
from nnzoo.run.directory import ARTIFACT
from nnzoo.training.state import rng_state, set_rng_state

Targets = NDArray[Any]


class Estimator(BaseEstimator):
    """Trains a network of nnzoo in `fit`. A subclass defines the task and its predictions."""

    task: str

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
        random_state: int | np.random.RandomState | None = None,
        runs_dir: str | os.PathLike[str] | None = None,
        verbose: bool = False,
    ) -> None:
        self.config = config
        self.data = data
        self.preprocess = preprocess
        self.augment = augment
        self.model = model
        self.init = init
        self.loss = loss
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.regularization = regularization
        self.train = train
        self.random_state = random_state
        self.runs_dir = runs_dir
        self.verbose = verbose

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Returns the parameters; with `deep`, also the keys of sections that are mappings, such as `optimizer__lr`."""
        parameters: dict[str, Any] = super().get_params(deep=False)
        return parameters | (keys_below(parameters) if deep else {})

    def set_params(self, **params: Any) -> Self:
        """Sets parameters, and keys of sections: `optimizer__lr=0.1` sets `lr` in the parameter `optimizer`.

        Raises:
            ValueError: There is no such parameter. Keys of sections are checked by `fit`.
        """
        known = super().get_params(deep=False)
        for name in sorted(params, key=lambda each: "__" in each):  # entire sections first
            section, separator, key = name.partition("__")
            if section not in known or (separator and (section not in SECTIONS or not key)):
                raise ValueError(
                    f"'{name}' is not a parameter of {type(self).__name__} (expected one of: {', '.join(known)}; or a "
                    "key of a section with two underscores, such as optimizer__lr)."
                )
            setattr(self, section, with_key(getattr(self, section), key, params[name]) if separator else params[name])
        return self

    def _overrides(self) -> dict[str, Any]:
        """Returns the parameters as overrides of the config."""
        overrides = {"data.task": self._task(), **overrides_of(self.get_params(deep=False))}
        if self.random_state is not None:
            state = self.random_state
            overrides["seed"] = int(state.randint(2**31 - 1) if isinstance(state, np.random.RandomState) else state)
        return overrides

    def _task(self) -> str:
        return self.task

    def _fit(self, x: Any, y: Targets, weights: NDArray[np.float64] | None) -> None:
        """Trains the network on checked samples, and sets the attributes of a fitted estimator.

        Args:
            x: A data frame or an array.
            y: The targets as nnzoo reads them.
            weights: (N,) positive weights of the samples; None if they are all equal.
        """
        self._column_names = list(columns_of(x, where="X")) if is_frame(x) else None
        given = {"x": x, "y": y} | ({} if weights is None else {WEIGHTS: weights})
        overrides = self._overrides()
        config, runs_dir = config_of(self.config), self.runs_dir
        checked = load_config(config, overrides, data=data_in_memory(given).section())
        overrides |= self._resolved(checked)
        if getattr(checked.data, "sequence_id", None) is not None:
            raise UsageError(
                "the rows of a sequence have one prediction, but estimators return one per row. Use nnzoo.train.",
                where="data.sequence_id",
            )
        pages: dict[str, Any] = {}
        with ExitStack() as stack:
            if runs_dir is None:
                runs_dir = stack.enter_context(tempfile.TemporaryDirectory(prefix="nnzoo-fit-"))
                overrides |= WITHOUT_RUN
            else:
                pages = {"report": write_report, "diagnose": verdicts}
            stack.callback(set_rng_state, rng_state())
            show = print if self.verbose else _show_nothing
            run = _interruptible(
                config, overrides=overrides, data=given, runs_dir=runs_dir, quiet=not self.verbose, show=show, **pages
            )
            self._artifact = (run.run_dir / ARTIFACT).read_bytes()
        self.model_ = run.model
        self.history_ = {name: list(run.history[name]) for name in run.history}
        self.n_iter_ = int(run.result["epochs"])
        if self.runs_dir is not None:
            self.run_dir_ = run.run_dir

    def _resolved(self, config: Config) -> dict[str, Any]:
        """Returns overrides where an estimator has other defaults than a config: no val and test split."""
        split = config.data.split
        is_set = "split" in config.data.model_fields_set and "val" in split.model_fields_set
        return {"data.split.val": split.val if is_set else 0.0, "data.split.test": 0.0}

    def _checked(self, x: Any, y: Any, sample_weight: ArrayLike | None, **checks: Any) -> tuple[Any, Targets, Any]:
        """Checks the arguments of `fit` with scikit-learn's rules, and leaves out samples of weight 0.

        Returns:
            A data frame or an array, the targets as an array, and the weights or None.
        """
        if is_frame(x):
            x, y = validate_data(self, x, y, skip_check_array=True)
            y = np.asarray(y)
            check_consistent_length(x, y)
        else:
            x, y = validate_data(
                self, x, y, dtype=self._dtype(), allow_nd=True, multi_output=True, ensure_min_samples=2, **checks
            )
        if sample_weight is None:
            return x, y, None
        weights = _check_sample_weight(sample_weight, y, dtype=np.float64, ensure_non_negative=True)
        if (weights == 0).any():
            kept = np.flatnonzero(weights)
            x, y, weights = _safe_indexing(x, kept), y[kept], weights[kept]
        return x, y, weights

    def _dtype(self) -> Any:
        """Returns the dtypes of arrays: reals, except for tokens, which are integers."""
        layout = overrides_of(self.get_params(deep=False)).get("data.layout")
        return "numeric" if layout == "tokens" else [np.float64, np.float32]

    def _outputs(self, x: Any) -> Tensor:
        """Returns the outputs of the network for new samples, (N, K) on the CPU.

        Raises:
            NotFittedError: The estimator is not fitted.
            ValueError: The samples have other features than those of training, or an array has NaN or infinite values.
        """
        check_is_fitted(self, "model_")
        if self._column_names is None:
            return self.model_.outputs(validate_data(self, x, dtype=self._dtype(), allow_nd=True, reset=False))
        if is_frame(x):
            validate_data(self, x, skip_check_array=True, reset=False)
            return self.model_.outputs(x)
        columns = validate_data(self, x, dtype=None, ensure_all_finite=False, reset=False).T
        return self.model_.outputs(dict(zip(self._column_names, columns, strict=True)))

    def __getstate__(self) -> dict[str, Any]:
        """Returns the attributes, with the bytes of best.safetensors instead of the network."""
        state: dict[str, Any] = dict(super().__getstate__())
        state.pop("model_", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restores the attributes, and builds the network from the bytes of best.safetensors."""
        super().__setstate__(state)
        if "_artifact" in state:
            self.model_ = _model_of(state["_artifact"])


def _interruptible(*arguments: Any, **options: Any) -> Run:
    """Calls `train`. Ctrl-C raises KeyboardInterrupt, as in other estimators."""
    try:
        return train(*arguments, **options)
    except InterruptedRunError as error:
        if error.exit_code == 128 + signal.SIGINT:
            raise KeyboardInterrupt from error
        raise


def _show_nothing(text: str) -> None:
    """Ignores the summary of the network."""


def _model_of(artifact: bytes) -> TrainedModel:
    """Returns the trained network in the bytes of best.safetensors."""
    with tempfile.TemporaryDirectory(prefix="nnzoo-") as folder:
        path = Path(folder) / ARTIFACT
        path.write_bytes(artifact)
        return load(path, device=None)
