"""Converts a trace to plain values for JSON."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from nnzoo.trace.explain import StepExplanation, Trace
from nnzoo.trace.expression import Equation
from nnzoo.trace.notation import TEXT
from nnzoo.trace.stage import Group
from nnzoo.trace.surface import Surface

MAX_NUMBERS = 100_000
"""Tensors of a step are left out if they have more numbers together. The equations are always there."""


def as_dict(trace: Trace, surface: Surface | None = None) -> dict[str, Any]:
    """Returns the trace, and the loss over some weights if it was computed, as plain values that are not rounded."""
    config, model = trace.config, trace.setup.state.model
    return {
        "config": config.name,
        "model": config.model.name,
        "loss": config.loss.name,
        "optimizer": config.optimizer.name,
        "precision": "float64",
        "num_parameters": sum(parameter.numel() for parameter in model.parameters()),
        "notes": trace.notes,
        "losses": [
            {"step": number + 1, "lr": lr, "loss": loss} for number, (loss, lr) in enumerate(trace.recording.losses)
        ],
        "steps": [_step(step) for step in trace.steps],
        **({} if surface is None else {"surface": surface.as_dict()}),
    }


def _step(step: StepExplanation) -> dict[str, Any]:
    record = step.record
    plain: dict[str, Any] = {
        "step": record.number,
        "epoch": record.epoch,
        "lr": record.lr,
        "rows": record.rows,
        "loss": record.loss,
        "loss_after": record.loss_after,
        "equations": {name.lower(): [_group(group) for group in groups] for name, groups in step.parts()},
    }
    tensors = {
        "inputs": record.inputs,
        "targets": record.targets,
        "outputs": record.outputs,
        "modules": {name: {"outputs": each.outputs, "gradient": each.grad} for name, each in record.modules.items()},
        "parameters": {
            name: {"before": before, "gradient": record.raw_gradients.get(name), "after": record.after[name]}
            for name, before in record.before.items()
        },
        "optimizer_state": record.state_after,
    }
    return {**plain, **(_plain(tensors) if _count(tensors) <= MAX_NUMBERS else dict.fromkeys(tensors))}


def _group(group: Group) -> dict[str, Any]:
    return {
        "title": group.title,
        "left_out": group.note,
        "equations": [_equation(each) for each in group.equations],
    }


def _equation(equation: Equation) -> dict[str, Any]:
    formula = equation.formula
    return {
        "name": equation.name,
        "formula": None if formula is None else TEXT.of(formula, numbers=False),
        "numbers": None if formula is None else TEXT.of(formula, numbers=True),
        "value": equation.value,
        "remark": equation.remark,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.tolist()
    return {key: _plain(each) for key, each in value.items()} if isinstance(value, dict) else value


def _count(value: Any) -> int:
    if isinstance(value, Tensor):
        return value.numel()
    return sum(map(_count, value.values())) if isinstance(value, dict) else 1
