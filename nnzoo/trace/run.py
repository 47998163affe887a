"""Traces the training of a config."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from nnzoo.config import ConfigLike, load_config
from nnzoo.trace.explain import Trace, explain
from nnzoo.trace.learner import trace_steps
from nnzoo.trace.record import Watch
from nnzoo.trace.setup import build_setup, check_traceable
from nnzoo.trace.stage import Limits


def trace_config(
    config: ConfigLike,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    *,
    row: int | None = None,
    num_steps: int = 1,
    limits: Limits | None = None,
    runs_dir: str | os.PathLike[str] = "runs",
    watch: Watch | None = None,
) -> Trace:
    """Runs the first steps of the training of a config, and explains every number in them.

    Args:
        config: A path, the name of a shipped config, a run directory, a dict, or a config.
        overrides: `{"optimizer.lr": 3e-4}`, or strings such as `optimizer.lr=3e-4`.
        row: The only training sample, by its index in the train split; None for the batches of the training.
        num_steps: The number of steps.
        limits: What is shown; by default, the first units, terms and samples.
        runs_dir: The folder in which the name of `model.pretrained` is looked up.
        watch: Chooses the weights whose path is kept; None for none.

    Raises:
        ConfigError: The config can't be used, or its network or optimizer can't be traced.
        DataError: The data is missing or does not fit.
        UsageError: There is no such sample, layer or unit.
        DivergedError: The loss is not finite.
    """
    loaded = load_config(config, overrides)
    check_traceable(loaded)
    recording = trace_steps(
        lambda: build_setup(loaded, row=row, num_steps=num_steps, runs_dir=os.fspath(runs_dir)), num_steps, watch
    )
    return explain(recording, limits or Limits(), num_steps=num_steps)
