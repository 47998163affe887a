"""What comes before and after recurrent layers: token vectors, and the choice of states for the output layer."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nnzoo.models.recurrent import RecurrentNet
from nnzoo.trace.expression import Call, Equation, Expression, Frac, Num, Prod, Sum, Var
from nnzoo.trace.linked import limited
from nnzoo.trace.record import StepRecord
from nnzoo.trace.stage import Group, Limits, Place, Stage, Weight


class Embedding(Stage):
    """The vectors of tokens, with the places (feature, step).

    Args:
        rows: The label of each sample.
        record: The step.
    """

    def __init__(self, rows: list[str], record: StepRecord) -> None:
        recorded = record.modules["embedding"]
        super().__init__("embedding", "e", rows, recorded.outputs.transpose(1, 2), recorded.grad.transpose(1, 2), None)
        self.tokens, self.record = recorded.inputs, record
        self.table = record.before["embedding.weight"]

    def _entry(self, token: int, feature: int) -> Weight:
        return Weight(f"M[{token},{feature + 1}]", "embedding.weight", (token, feature))

    def _shown(self, limits: Limits) -> list[tuple[int, int, int]]:
        """Returns the samples, steps and features that are shown."""
        features = range(min(self.values.shape[1], limits.terms // 2))
        steps = range(min(self.values.shape[2], 2 * limits.places))
        return [(row, step, feature) for row in self.shown_rows(limits) for step in steps for feature in features]

    def forward(self, limits: Limits) -> Group:
        equations = []
        for row, step, feature in self._shown(limits):
            token = int(self.tokens[row, step])
            result, entry = self.output(row, (feature, step)), self._entry(token, feature)
            equations.append(Equation(result.name, result.value, Var(entry.symbol, float(self.table[token, feature]))))
        return Group("embedding: the vector of each token, row by row of the table M", equations)

    def pull(self, row: int, place: Place, limit: int) -> Expression:
        raise NotImplementedError

    def weights(self, limits: Limits) -> list[Weight]:
        if "embedding.weight" not in self.record.raw_gradients:
            return []
        found = [self._entry(int(self.tokens[row, step]), feature) for row, step, feature in self._shown(limits)]
        return list(dict.fromkeys(found))

    def backward(self, limits: Limits) -> Group:
        equations = []
        for row, step, feature in self._shown(limits):
            equations += self.incoming(row, (feature, step), limits.terms)
        for weight in self.weights(limits):
            token, feature = weight.index
            places = (self.tokens == token).nonzero().tolist()
            grads = [(self.grad(row, (feature, step)),) for row, step in places]
            formula = limited(grads, limits.terms, lambda g: g, lambda left: math.fsum(g.value for (g,) in left))
            value = float(self.record.raw_gradients[weight.parameter][weight.index])
            equations.append(
                Equation(f"dE/d{weight.symbol}", value, formula, f"the sum over all uses of token {token}")
            )
        return Group("embedding", equations)


class StepRows(Stage):
    """The states of all steps as rows for the output layer: one output per step.

    Args:
        source: The last recurrent layer.
        record: The step.
    """

    def __init__(self, source: Stage, record: StepRecord) -> None:
        self.num_steps = source.values.shape[2]
        rows = [
            ";".join([label] * bool(label) + [str(step + 1)]) for label in source.rows for step in range(self.num_steps)
        ]
        values, grads = (_steps_as_rows(each) for each in (source.values, source.grads))
        super().__init__("steps", "s", rows, values, grads, source)
        self.mask = _mask(record)
        if self.mask is not None:
            self.mask = self.mask.flatten(0, 1)
            self.values, self.grads = _dropped(record, self.values.shape)

    def symbol(self, row: int, place: Place) -> str:
        sample, step = divmod(row, self.num_steps)
        name = self.before.symbol(sample, (place[0], step))
        return name if self.mask is None else f"d_{name}"

    def forward(self, limits: Limits) -> Group:
        equations = []
        for row in self.shown_rows(limits) if self.mask is not None else []:
            sample, step = divmod(row, self.num_steps)
            for unit in range(min(self.values.shape[1], limits.maps)):
                result, before = self.output(row, (unit,)), self.before.output(sample, (unit, step))
                assert self.mask is not None
                factor = Num(float(self.mask[row, unit]))
                equations.append(Equation(result.name, result.value, Prod([before, factor]), "dropout"))
        return Group("dropout", equations)

    def pull(self, row: int, place: Place, limit: int) -> Expression:
        unit, step = place
        at = row * self.num_steps + step
        assert self.after is not None
        found = self.after.pull(at, (unit,), limit)
        return found if self.mask is None else Prod([found, Num(float(self.mask[at, unit]))])

    def backward(self, limits: Limits) -> Group:  # noqa: ARG002
        return Group("steps")

    def weights(self, limits: Limits) -> list[Weight]:  # noqa: ARG002
        return []


class Pooled(Stage):
    """The last state, or the mean or maximum of the states of all steps.

    Args:
        model: The network.
        source: The last recurrent layer.
        record: The step.
    """

    def __init__(self, model: RecurrentNet, source: Stage, record: StepRecord) -> None:
        self.kind, self.hidden_size = model.pooling, source.values.shape[1] // (1 + model.bidirectional)
        count = source.values.shape[2]
        self.lengths = [count] * len(source.rows) if record.lengths is None else record.lengths.tolist()
        self.mask = _mask(record)
        output = record.modules["output.linear"]
        super().__init__("pooling", "s", source.rows, output.inputs, output.inputs, source)

    def steps_of(self, row: int, unit: int) -> list[int]:
        """Returns the steps that a pooled value is computed from."""
        if self.kind != "last":
            return list(range(self.lengths[row]))
        return [0] if unit >= self.hidden_size else [self.lengths[row] - 1]

    def symbol(self, row: int, place: Place) -> str:
        if self.kind == "last" and self.mask is None:
            return self.before.symbol(row, (place[0], self.steps_of(row, place[0])[0]))
        return super().symbol(row, place)

    def _factor(self, row: int, unit: int, formula: Expression) -> Expression:
        return formula if self.mask is None else Prod([formula, Num(float(self.mask[row, unit]))])

    def forward(self, limits: Limits) -> Group:
        if self.kind == "last" and self.mask is None:
            return Group("pooling")
        equations = []
        for row in self.shown_rows(limits):
            for unit in limits.shown_units(self.values.shape[1], have_maps=True):
                result, steps = self.output(row, (unit,)), self.steps_of(row, unit)
                states = [self.before.output(row, (unit, step)) for step in steps]
                formula: Expression = states[0]
                if self.kind == "mean":
                    total = limited(
                        [(s,) for s in states], limits.terms, lambda s: s, lambda left: sum(s.value for (s,) in left)
                    )
                    formula = Frac(total, Num(len(states)))
                elif self.kind == "max":
                    formula = Call("max", states, max)
                equations.append(Equation(result.name, result.value, self._factor(row, unit, formula)))
        what = {"last": "the last state", "mean": "the mean over the steps", "max": "the maximum over the steps"}
        dropped = "" if self.mask is None else ", with dropout"
        return Group(f"pooling: {what[self.kind]}{dropped}", equations)

    def pull(self, row: int, place: Place, limit: int) -> Expression:
        unit, step = place
        steps = self.steps_of(row, unit)
        assert self.after is not None
        if step not in steps:
            return Sum([])
        if self.kind == "last":
            return self._factor(row, unit, self.after.pull(row, (unit,), limit))
        above = self._factor(row, unit, self.after.pull(row, (unit,), limit))
        if self.kind == "mean":
            return Frac(above, Num(len(steps)))
        values = [float(self.before.values[row, unit, each]) for each in steps]
        ties = [each for each, value in zip(steps, values, strict=True) if value == max(values)]
        if step not in ties:
            return Sum([])
        return above if len(ties) == 1 else Frac(above, Num(len(ties)))

    def backward(self, limits: Limits) -> Group:  # noqa: ARG002
        return Group("pooling")

    def weights(self, limits: Limits) -> list[Weight]:  # noqa: ARG002
        return []


def _steps_as_rows(values: Tensor) -> Tensor:
    """(N, H, T) -> (N * T, H)."""
    return values.transpose(1, 2).flatten(0, 1)


def _mask(record: StepRecord) -> Tensor | None:
    """Returns the factors of the dropout before the output layer; None without dropout."""
    recorded = record.modules.get("dropout")
    if recorded is None or not isinstance(recorded.module, nn.Dropout) or not recorded.module.p:
        return None
    return torch.where(recorded.inputs == 0, torch.zeros_like(recorded.outputs), recorded.outputs / recorded.inputs)


def _dropped(record: StepRecord, shape: torch.Size) -> tuple[Tensor, Tensor]:
    outputs, grad = record.modules["dropout"].outputs, record.modules["dropout"].grad
    return outputs.reshape(shape), grad.reshape(shape)
