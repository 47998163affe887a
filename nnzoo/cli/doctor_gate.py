"""The text of the checks before training in `nnzoo doctor CONFIG`."""

from __future__ import annotations

from typing import Any

from nnzoo.numbers import number

HIGH = 5
"""A first loss is remarkable if it is this many times the expected one."""


def lines(gate: dict[str, Any]) -> str:
    """Returns one line per check."""
    return "\n".join(
        [_inputs(gate["first_batch"]), _loss(gate["first_loss"]), _by_heart(gate["by_heart"]), _cost(gate["cost"])]
    )


def _inputs(batch: dict[str, Any]) -> str:
    parts = [f"{' x '.join(map(str, batch['shape']))} {batch['dtype']}"]
    if "mean" in batch:
        parts.append(f"from {number(batch['min'])} to {number(batch['max'])}")
        parts.append(f"mean {number(batch['mean'])}, std {number(batch['std'])}")
    if "lengths" in batch:
        lengths = batch["lengths"]
        unit = "nodes" if batch["layout"] == "tree" else "steps"
        parts.append(
            f"{lengths['min']} to {lengths['max']} {unit}, mean {lengths['mean']:.1f}, {batch['padding']:.0%} padding"
        )
    if "tokens" in batch:
        known = f", {batch['unknown']:.1%} unknown" if "unknown" in batch else ""
        parts.append(f"{batch['tokens']} tokens, {batch['distinct_tokens']} of {batch['vocabulary']} different{known}")
    return f"first batch: {'; '.join(parts)}"


def _loss(loss: dict[str, Any]) -> str:
    measured, expected = loss["measured"], loss["expected"]
    text = f"first loss: {number(measured)}; a guess ({loss['guess']}) has {number(expected)}"
    if loss["pretrained"]:
        return f"{text}. The weights are pretrained"
    if expected > 0 and measured > HIGH * expected:
        return f"{text}: the untrained network is {measured / expected:.1f} times worse"
    return text


def _by_heart(by_heart: dict[str, Any]) -> str:
    word = {True: "yes", False: "no", None: "undecided"}[by_heart["learned"]]
    reason = f": {by_heart['reason']}" if by_heart["reason"] else ""
    if not by_heart["steps"]:
        return f"one batch learned by heart: {word}{reason}"
    metric = by_heart["metric"]
    parts = f"{by_heart['samples']} samples in {by_heart['steps']} steps ({by_heart['optimizer']})"
    score = "" if by_heart["learned"] else f", {metric} {number(by_heart[metric])}"
    conflict = ""
    if by_heart["attainable"] < 1 and metric == "accuracy":
        conflict = f"; equal inputs with different targets allow an accuracy of {number(by_heart['attainable'])}"
    return f"one batch learned by heart: {word}, {parts}{score}{conflict}{reason}"


def _cost(cost: dict[str, Any]) -> str:
    epochs = f"{cost['epochs']} epochs ({_time(cost['seconds_per_epoch'])} each)"
    earlier = ", or less with early stopping" if cost["early_stopping"] else ""
    compiled = ", without train.compile" if cost["compiled"] else ""
    memory = "" if cost["memory_bytes"] is None else f"; {cost['memory_bytes'] / 1e6:.0f} MB"
    return f"training: about {_time(cost['seconds'])} for {epochs}{earlier}{compiled}{memory} on {cost['device']}"


def _time(seconds: float) -> str:
    """Formats a time: 0.02 s, 4.1 s, 42 s, 3 min 20 s, 1 h 20 min."""
    if seconds < 9.95:
        return f"{seconds:.2g} s" if seconds >= 0.001 else "<0.001 s"
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
