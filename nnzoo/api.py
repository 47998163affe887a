"""The functions of the Python package, which correspond to the commands, and `build_model`."""

from __future__ import annotations

import functools
import operator
import os
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec

import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from nnzoo.comparison import comparison
from nnzoo.comparison.comparison import RunComparison
from nnzoo.config import ConfigLike, load_config
from nnzoo.doctor.brief import verdicts
from nnzoo.errors import UsageError
from nnzoo.experiment.evaluate.evaluate import EvalResult, evaluate_checkpoint
from nnzoo.experiment.load import Raw, TrainedModel, load
from nnzoo.experiment.pretrained.pretrained import with_embedding
from nnzoo.experiment.train import run as training
from nnzoo.experiment.train.finished import Run
from nnzoo.experiment.train.initial import initial_network, network_of_size
from nnzoo.report.write import write_report
from nnzoo.summaries import Summary, summarize

__all__ = ["build_model", "compare", "evaluate", "load", "load_config", "predict", "summary", "train"]

_Arguments = ParamSpec("_Arguments")


def _with_page(function: Callable[_Arguments, Run]) -> Callable[_Arguments, Run]:
    """Returns the training function that also writes report.html and says what went wrong."""

    @functools.wraps(function)
    def train_and_report(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> Run:
        kwargs.setdefault("report", write_report)
        kwargs.setdefault("diagnose", verdicts)
        return function(*args, **kwargs)

    return train_and_report


train = _with_page(training.train)


def evaluate(
    run: Run | TrainedModel | str | os.PathLike[str],
    data: Any = None,
    split: str | None = None,
    *,
    batch_size: int | None = None,
    device: str | None = None,
    runs_dir: str | os.PathLike[str] = "runs",
    model: nn.Module | None = None,
) -> EvalResult:
    """Evaluates a trained network, as `nnzoo eval` does.

    Args:
        run: The result of `nnzoo.train` or `nnzoo.load`, a run directory, a checkpoint, `zoo:NAME`, a run's name, or
            `latest`.
        data: New labelled data of the same kind, instead of a split: a file or folder, or anything that `nnzoo.train`
            accepts. With `split`, it must be the data that was passed to `nnzoo.train`, which is not saved.
        split: train, val or test; by default, the first of test, val and train that exists.
        batch_size: Samples per batch; by default, as in training, so that results are bit-identical.
        device: auto, cpu, cuda, cuda:N or mps; by default, that of the config.
        runs_dir: The folder in which names of runs are looked up.
        model: Your custom module, if the network is a custom module.

    Returns:
        The metrics with their confidence intervals, the baseline, the scores per class, and the confusion matrix.

    Raises:
        UsageError: There is no such checkpoint or split.
        CheckpointError: The checkpoint is damaged.
        DataError: The data is missing or does not fit.
    """
    if split not in (None, "train", "val", "test"):
        raise UsageError(f"expected train, val or test, got {split!r}.", where="split")
    if isinstance(run, Run):
        return evaluate_checkpoint(run.model, split=split, data=data, batch_size=batch_size, training_data=run.data)
    return evaluate_checkpoint(
        run, split=split, data=data, batch_size=batch_size, device=device, runs_dir=runs_dir, model=model
    )


def predict(
    run: Run | TrainedModel | str | os.PathLike[str],
    raw: Raw,
    lengths: ArrayLike | torch.Tensor | None = None,
    *,
    runs_dir: str | os.PathLike[str] = "runs",
    model: nn.Module | None = None,
    device: str | None = "cpu",
) -> NDArray[Any]:
    """Returns predictions for raw new samples: class names, labels, or values in the unit of the target.

    Args:
        run: The result of `nnzoo.train` or `nnzoo.load`, a run directory, a checkpoint, `zoo:NAME`, a run's name, or
            `latest`.
        raw: The samples, as `TrainedModel.predict` accepts them: an array, a data frame, a dict of columns, texts, or
            image files.
        lengths: (N,) the number of valid steps of sequences and tokens; None if all are valid.
        runs_dir: The folder in which names of runs are looked up.
        model: Your custom module, if the network is a custom module.
        device: auto, cpu, cuda, cuda:N or mps; None for the device used in training.

    Returns:
        The predictions, as returned by `TrainedModel.predict`.

    Raises:
        UsageError: There is no such checkpoint.
        CheckpointError: The checkpoint is damaged.
        DataError: The samples have the wrong shape, or contain NaN or infinite values.
    """
    if isinstance(run, Run):
        run = run.model
    trained = run if isinstance(run, TrainedModel) else load(run, runs_dir=runs_dir, model=model, device=device)
    return trained.predict(raw, lengths)


def compare(
    runs: Sequence[Run | str | os.PathLike[str]],
    *,
    metric: str | None = None,
    runs_dir: str | os.PathLike[str] = "runs",
) -> RunComparison:
    """Compares finished runs, as `nnzoo compare` does.

    Args:
        runs: Results of `nnzoo.train`, run directories, names of runs, or `latest`.
        metric: The metric that is tested, such as "test/accuracy"; by default, the first metric of the config on test,
            or on val if there is no test split.
        runs_dir: The folder in which names of runs are looked up.

    Returns:
        The groups of runs, the differences of their settings and metrics, and the tests; `as_dict` has plain values.

    Raises:
        UsageError: There is no such run or metric, or there are fewer than two runs.
    """
    folders = [run.run_dir if isinstance(run, Run) else run for run in runs]
    return comparison.compare(folders, metric=metric, runs_dir=runs_dir)


def build_model(
    config: ConfigLike, input_shape: Sequence[int] | None = None, num_outputs: int | None = None
) -> nn.Module:
    """Builds the network of a config with its initial weights.

    The weights are drawn with the seed of the config, so they are the same each time; those of `model.pretrained` come
    from its checkpoint. The state of the random generators does not change.

    Args:
        config: A path, the name of a shipped config, a dict, or a config.
        input_shape: Shape of one sample without the batch axis; by default, that of the data.
        num_outputs: Number of output units; by default, as the data and the loss require. If given, the data is not
            read, and the last layer always has new weights.

    Raises:
        UsageError: There is no such config, or the shape has sizes that are not positive integers.
        ConfigError: The config can't be used.
        DataError: The data is needed, and is missing or can't be used.
        CheckpointError: The checkpoint of `model.pretrained` is damaged.
    """
    shape = None if input_shape is None else _sizes("input_shape", input_shape)
    outputs = None if num_outputs is None else _sizes("num_outputs", (num_outputs,))[0]
    checked = with_embedding(load_config(config))
    if shape is None and outputs is None:
        return initial_network(checked)[0]
    return network_of_size(checked, shape, outputs)


def _sizes(name: str, given: Sequence[int]) -> tuple[int, ...]:
    """Checks and returns the sizes of the argument `name`. Integers of NumPy and torch are accepted too."""
    try:
        sizes = tuple(operator.index(size) for size in given)
    except TypeError:
        sizes = ()
    if len(sizes) == 0 or min(sizes) < 1 or any(isinstance(size, bool) for size in given):
        shown = given[0] if name == "num_outputs" else given
        raise UsageError(f"must be positive integers (got {shown!r}).", where=name)
    return sizes


def summary(
    net: nn.Module, input_shape: Sequence[int], *, batch_size: int = -1, dtype: torch.dtype = torch.float32
) -> Summary:
    """Returns the torchsummary report of any module, with neurons, FLOPs and notes. `print` shows it as text.

    Args:
        net: The module, which is not changed.
        input_shape: Shape of one sample without the batch axis.
        batch_size: The batch size in the table; -1 for any.
        dtype: The type of the inputs; an integer type for tokens.

    Raises:
        UsageError: The module does not accept such an input.
    """
    if not isinstance(net, nn.Module):
        raise UsageError(f"must be an nn.Module (got {net!r}). nnzoo.build_model(config) builds one.", where="net")
    return summarize(net, _sizes("input_shape", input_shape), batch_size=batch_size, dtype=dtype)
