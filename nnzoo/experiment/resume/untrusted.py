"""Checks that the content of a checkpoint fits this run, since even an intact file may contain anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nnzoo.training.processes.group import PER_RANK
from nnzoo.training.state import TrainState

LARGEST = 2**53
# These are empty at the start, or have a different type. Their content is checked after it is loaded.
_GROWING = ("best", "history", "train_loss", "columns", "rows", "ended", "health")


def check_saved(saved: Any, fresh: Mapping[str, Any], shapes: list[torch.Size]) -> None:
    """Compares a saved training state with the initial state of the same run.

    Args:
        saved: The state in the file.
        fresh: The training state before it is restored.
        shapes: The shapes of the parameters, in the order of the optimizer.

    Raises:
        ValueError: A value is missing, or has a different type, shape or sign than expected.
    """
    # Checkpoints of earlier versions have no health.
    if not isinstance(saved, dict) or fresh.keys() - saved.keys() - {"health"}:
        raise ValueError("parts are missing")
    for key, value in fresh.items():
        if key == "current":
            check_saved(saved[key], value, shapes)
        elif key == "optimizer":
            _check_optimizer(saved[key], value, shapes)
        elif key == "train_metrics":
            _check_sums(saved[key], value)
        elif key == "rng":
            # A run may be resumed on a machine with more or fewer CUDA devices.
            _check_like({**saved[key], "cuda": []}, {**value, "cuda": []}, key)
        elif key == "scaler":
            _check_scaler(saved[key], value)
        elif key not in _GROWING:
            _check_like(saved[key], value, key, loose=key == "schedule")


def _check_like(saved: Any, fresh: Any, where: str, *, loose: bool = False) -> None:
    """Checks types and shapes. Integers must not be negative; with `loose`, a number may be an int or a float."""
    if fresh is None:
        fits = saved is None or type(saved) in (int, float)
    elif isinstance(fresh, Tensor):
        fits = isinstance(saved, Tensor) and saved.shape == fresh.shape and saved.dtype == fresh.dtype
    elif isinstance(fresh, dict):
        fits = isinstance(saved, dict) and (saved.keys() == fresh.keys() or not all(type(key) is str for key in fresh))
        for key in fresh if fits else ():
            _check_like(saved.get(key, fresh[key]), fresh[key], f"{where}.{key}", loose=loose)
    elif isinstance(fresh, list | tuple):
        fits = isinstance(saved, list | tuple) and len(saved) == len(fresh)
        for index, value in enumerate(fresh if fits else ()):
            _check_like(saved[index], value, f"{where}.{index}", loose=loose)
    elif type(fresh) is int and not loose:
        fits = type(saved) is int and 0 <= saved <= LARGEST
    elif type(fresh) in (int, float):
        fits = type(saved) is float or (type(saved) is int and abs(saved) <= LARGEST)
    else:
        fits = type(saved) is type(fresh)
    if not fits:
        raise ValueError(f"{where} has a different type or shape than expected")


def _check_optimizer(saved: Any, fresh: dict[str, Any], shapes: list[torch.Size]) -> None:
    """Checks the parameter groups, and that values are numbers, or tensors shaped like a parameter or flattened."""
    if not isinstance(saved, dict) or not isinstance(saved.get("state"), dict):
        raise ValueError("optimizer has a different type than expected")
    _check_like(saved.get("param_groups"), fresh["param_groups"], "optimizer", loose=True)
    flat = torch.Size([sum(shape.numel() for shape in shapes)])
    states = saved["state"]
    if not all(type(key) is int and 0 <= key < len(shapes) and isinstance(states[key], dict) for key in states):
        raise ValueError("optimizer has the parameters of a different network")
    for group in fresh["param_groups"]:
        kept = [states[key] for key in group["params"] if key in states]
        if len({frozenset((str(name), type(value)) for name, value in each.items()) for each in kept}) > 1:
            raise ValueError("the optimizer state of the parameters is not uniform")
    for key, values in states.items():
        for name, value in values.items():
            for each in value if isinstance(value, list) else [value]:
                fits = each is None or type(each) in (int, float)
                if isinstance(each, Tensor):
                    fits = each.shape in (torch.Size(), shapes[key], flat) and not each.is_complex()
                if not fits:
                    raise ValueError(f"optimizer.{key}.{str(name)[:40]} has a different type or shape than expected")


def _check_scaler(saved: Any, fresh: dict[str, Any]) -> None:
    """Checks the scale and the steps since its last change; all other values must be the initial ones."""
    _check_like(saved, fresh, "scaler")
    changing = dict.fromkeys(("scale", "_growth_tracker"), 0)
    is_in_interval = saved["_growth_tracker"] < fresh["growth_interval"]
    if not 0 < saved["scale"] < math.inf or not is_in_interval or {**saved, **changing} != {**fresh, **changing}:
        raise ValueError("the values of scaler are out of range")


def _check_sums(saved: dict[str, Any], fresh: dict[str, Any]) -> None:
    """Checks the count, the sums by name, and the lists of tensors that accumulate until the epoch ends."""
    parts = [*saved["sums"].values(), *saved["kept"], *saved["scores"]]
    same_types = {name: type(part) for name, part in saved.items()} == {name: type(fresh[name]) for name in fresh}
    if not same_types or not 0 <= saved["count"] <= LARGEST or not all(isinstance(part, Tensor) for part in parts):
        raise ValueError("train_metrics has a different type than expected")


def check_rank_states(rank_states: Any, fresh: Mapping[str, Any]) -> None:
    """Compares the saved states of the other ranks with the state of this process.

    Raises:
        ValueError: A value is missing, or has a different type, shape or sign than expected.
    """
    if not isinstance(rank_states, list) or any(
        not isinstance(state, dict) or state.keys() != {*PER_RANK} for state in rank_states
    ):
        raise ValueError("ranks has a different type than expected")
    for state in rank_states:
        check_saved(state, {key: fresh[key] for key in PER_RANK}, [])
        sums = state["train_loss"]
        if not isinstance(sums, list) or [type(each) for each in sums] != [float, float]:
            raise ValueError("the running sums of the current epoch are invalid")


def check_restored(state: TrainState, monitor: str) -> None:
    """Checks that the parts of a restored training are consistent.

    Raises:
        ValueError: They are not consistent.
    """
    rows, stopping = state.history.rows, state.early_stopping
    columns = {"epoch", "step", "lr", "train/loss", "seconds", monitor}
    if len(rows) != state.epoch or any(not columns <= row.keys() for row in rows):
        raise ValueError("the history belongs to a different run")
    if not all(type(column) is str for row in rows for column in row):
        raise ValueError("the history has columns without a name")
    if not all(math.isfinite(row[name]) for row in rows for name in ("epoch", "step", "seconds")):
        raise ValueError("the history contains values that are not finite")
    if not 0 <= state.seconds < math.inf or not 0 <= state.epoch_seconds < math.inf:
        raise ValueError("the training time is negative or not finite")
    if stopping.best_epoch > state.epoch or (state.best is None) != (stopping.best_epoch == 0):
        raise ValueError("the best epoch is inconsistent with the number of epochs")
    sums = state.train_loss.total, state.train_loss.weight
    if any(type(each) not in (int, float) for each in sums) or (state.batch and not state.train_loss.weight > 0):
        raise ValueError("the running sums of the current epoch are invalid")
