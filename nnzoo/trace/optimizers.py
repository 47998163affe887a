"""The formulas of the optimizers: from the gradient and the state of a weight to its new value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from nnzoo.trace.expression import (
    Call,
    Equation,
    Expression,
    Frac,
    Num,
    Pow,
    Prod,
    Sum,
    Var,
    minus,
    sqrt,
    square,
)
from nnzoo.trace.record import StepRecord
from nnzoo.trace.stage import Weight


class Update:
    """The equations of one weight in one step.

    Args:
        weight: The weight.
        record: The step.
        gradient: The gradient that the optimizer reads.
    """

    def __init__(self, weight: Weight, record: StepRecord, gradient: Var) -> None:
        self.weight, self.record, self.options = weight, record, record.options
        self.equations: list[Equation] = []
        self.symbol = weight.symbol
        self.w = Var(self.symbol, float(record.before[weight.parameter][weight.index]))
        self.lr = Var("lr", float(record.options["lr"]))
        self.g = gradient

    def state(self, letter: str, key: str) -> Var:
        """Returns a number of the optimizer's state before the step; 0 if there is none yet."""
        values = self.record.state_before.get(self.weight.parameter, {})
        return Var(f"{letter}_{self.symbol}", self._at(values.get(key)))

    def keep(self, letter: str, key: str, formula: Expression, remark: str = "") -> Var:
        """Adds the equation of a number of the optimizer's state after the step, and returns it."""
        value = self._at(self.record.state_after[self.weight.parameter][key])
        return self.add(f"{letter}_{self.symbol}+", formula, remark, value)

    def add(self, name: str, formula: Expression, remark: str = "", value: float | None = None) -> Var:
        """Adds an equation, and returns its left side."""
        found = formula.evaluate() if value is None else value
        self.equations.append(Equation(name, found, formula, remark))
        return Var(name, found)

    def option(self, key: str, symbol: str) -> Var:
        """Returns a setting of the optimizer."""
        return Var(symbol, float(self.options[key]))

    @property
    def step(self) -> Num:
        """The number of steps of this weight, with this one."""
        count: Any = self.record.state_after[self.weight.parameter].get("step", self.record.number)
        return Num(float(count))

    def _at(self, value: Tensor | float | None) -> float:
        if isinstance(value, Tensor):
            return float(value if value.ndim == 0 else value[self.weight.index])
        return float(value or 0.0)

    def decay_gradient(self) -> None:
        """Adds weight_decay * w to the gradient, if there is weight decay."""
        if self.options.get("weight_decay"):
            decay = self.option("weight_decay", "weight_decay")
            self.g = self.add(f"g_{self.symbol}", Sum([self.g, Prod([decay, self.w])]), "gradient with weight decay")

    def decay_weight(self) -> None:
        """Shrinks the weight before the step, if there is decoupled weight decay."""
        if self.options.get("weight_decay"):
            decay = self.option("weight_decay", "weight_decay")
            formula = minus(self.w, Prod([self.lr, decay, self.w]))
            self.w = self.add(f"d_{self.symbol}", formula, "decoupled weight decay")


def _average(decay: Var, before: Var, new: Expression) -> Sum:
    """Returns decay * before + (1 - decay) * new."""
    return Sum([Prod([decay, before]), Prod([minus(Num(1), decay), new])])


def _sgd(update: Update) -> Expression:
    update.decay_gradient()
    options, direction = update.options, update.g
    if options["momentum"]:
        momentum, old = update.option("momentum", "momentum"), update.state("v", "momentum_buffer")
        has_old = "momentum_buffer" in update.record.state_before.get(update.weight.parameter, {})
        new: Expression = update.g
        if options["dampening"] and has_old:
            new = Prod([minus(Num(1), update.option("dampening", "dampening")), update.g])
        formula = Sum([Prod([momentum, old]), new]) if has_old else update.g
        velocity = update.keep("v", "momentum_buffer", formula, "momentum" if has_old else "momentum starts here")
        direction = velocity
        if options["nesterov"]:
            direction = update.add(f"s_{update.symbol}", Sum([update.g, Prod([momentum, velocity])]), "Nesterov")
    return minus(update.w, Prod([update.lr, direction]))


def _adam(update: Update, *, decoupled: bool = False) -> Expression:
    if decoupled:
        update.decay_weight()
    else:
        update.decay_gradient()
    beta1, beta2 = (Var(f"beta{i + 1}", float(beta)) for i, beta in enumerate(update.options["betas"]))
    first = update.keep("m", "exp_avg", _average(beta1, update.state("m", "exp_avg"), update.g), "average gradient")
    second = update.keep(
        "v", "exp_avg_sq", _average(beta2, update.state("v", "exp_avg_sq"), square(update.g)), "average square"
    )
    if update.options.get("amsgrad"):
        largest = Call("max", [update.state("vmax", "max_exp_avg_sq"), second], max)
        second = update.keep("vmax", "max_exp_avg_sq", largest, "largest average square so far")
    mean, spread = (
        update.add(f"{letter}_{update.symbol}", Frac(moment, minus(Num(1), Pow(beta, update.step))), "bias corrected")
        for letter, moment, beta in (("mhat", first, beta1), ("vhat", second, beta2))
    )
    eps = update.option("eps", "eps")
    return minus(update.w, Prod([update.lr, Frac(mean, Sum([sqrt(spread), eps]))]))


def _adamw(update: Update) -> Expression:
    return _adam(update, decoupled=True)


def _adagrad(update: Update) -> Expression:
    update.decay_gradient()
    total = update.keep("s", "sum", Sum([update.state("s", "sum"), square(update.g)]), "sum of squares")
    rate: Expression = update.lr
    if update.options["lr_decay"]:
        steps = Prod([minus(update.step, Num(1)), update.option("lr_decay", "lr_decay")])
        rate = Frac(update.lr, Sum([Num(1), steps]))
    return minus(update.w, Prod([rate, Frac(update.g, Sum([sqrt(total), update.option("eps", "eps")]))]))


def _adadelta(update: Update) -> Expression:
    update.decay_gradient()
    rho, eps = update.option("rho", "rho"), update.option("eps", "eps")
    squares = update.keep(
        "v", "square_avg", _average(rho, update.state("v", "square_avg"), square(update.g)), "average square"
    )
    steps = update.state("u", "acc_delta")
    ratio = Frac(sqrt(Sum([steps, eps])), sqrt(Sum([squares, eps])))
    delta = update.add(f"delta_{update.symbol}", Prod([ratio, update.g]), "step")
    update.keep("u", "acc_delta", _average(rho, steps, square(delta)), "average squared step")
    return minus(update.w, Prod([update.lr, delta]))


def _rmsprop(update: Update) -> Expression:
    update.decay_gradient()
    alpha, eps = update.option("alpha", "alpha"), update.option("eps", "eps")
    squares = update.keep(
        "v", "square_avg", _average(alpha, update.state("v", "square_avg"), square(update.g)), "average square"
    )
    spread: Expression = squares
    if update.options["centered"]:
        mean = update.keep(
            "m", "grad_avg", _average(alpha, update.state("m", "grad_avg"), update.g), "average gradient"
        )
        spread = minus(squares, square(mean))
    step: Expression = Frac(update.g, Sum([sqrt(spread), eps]))
    if update.options["momentum"]:
        momentum, old = update.option("momentum", "momentum"), update.state("b", "momentum_buffer")
        step = update.keep("b", "momentum_buffer", Sum([Prod([momentum, old]), step]), "momentum")
    return minus(update.w, Prod([update.lr, step]))


def _adamax(update: Update) -> Expression:
    update.decay_gradient()
    beta1, beta2 = (Var(f"beta{i + 1}", float(beta)) for i, beta in enumerate(update.options["betas"]))
    first = update.keep("m", "exp_avg", _average(beta1, update.state("m", "exp_avg"), update.g), "average gradient")
    grown = Sum([Call("abs", [update.g], abs), update.option("eps", "eps")])
    norm = update.keep(
        "u", "exp_inf", Call("max", [Prod([beta2, update.state("u", "exp_inf")]), grown], max), "decaying maximum"
    )
    rate = Frac(update.lr, minus(Num(1), Pow(beta1, update.step)))
    return minus(update.w, Prod([rate, Frac(first, norm)]))


def _nadam(update: Update) -> Expression:
    if update.options["decoupled_weight_decay"]:
        update.decay_weight()
    else:
        update.decay_gradient()
    beta1, beta2 = (Var(f"beta{i + 1}", float(beta)) for i, beta in enumerate(update.options["betas"]))
    decay = update.option("momentum_decay", "momentum_decay")

    def momentum(name: str, step: Expression) -> Var:
        power = Pow(Num(0.96), Prod([step, decay]))
        return update.add(name, Prod([beta1, minus(Num(1), Prod([Num(0.5), power]))]))

    mu, mu_next = momentum("mu", update.step), momentum("mu_next", Sum([update.step, Num(1)]))
    has_old = update.record.state_before.get(update.weight.parameter)
    old = update.state("mus", "mu_product") if has_old else Var(f"mus_{update.symbol}", 1.0)
    total = update.keep("mus", "mu_product", Prod([old, mu]), "product of all mu, which torch rounds to float32")
    first = update.keep("m", "exp_avg", _average(beta1, update.state("m", "exp_avg"), update.g), "average gradient")
    second = update.keep(
        "v", "exp_avg_sq", _average(beta2, update.state("v", "exp_avg_sq"), square(update.g)), "average square"
    )
    spread = update.add(f"vhat_{update.symbol}", Frac(second, minus(Num(1), Pow(beta2, update.step))), "bias corrected")
    below = Sum([sqrt(spread), update.option("eps", "eps")])
    now = Prod([Frac(minus(Num(1), mu), minus(Num(1), total)), update.g])
    ahead = Prod([Frac(mu_next, minus(Num(1), Prod([total, mu_next]))), first])
    return minus(update.w, Prod([update.lr, Frac(Sum([now, ahead]), below)]))


def _radam(update: Update) -> Expression:
    if update.options["decoupled_weight_decay"]:
        update.decay_weight()
    else:
        update.decay_gradient()
    beta1, beta2 = (Var(f"beta{i + 1}", float(beta)) for i, beta in enumerate(update.options["betas"]))
    first = update.keep("m", "exp_avg", _average(beta1, update.state("m", "exp_avg"), update.g), "average gradient")
    second = update.keep(
        "v", "exp_avg_sq", _average(beta2, update.state("v", "exp_avg_sq"), square(update.g)), "average square"
    )
    mean = update.add(f"mhat_{update.symbol}", Frac(first, minus(Num(1), Pow(beta1, update.step))), "bias corrected")
    longest = update.add("rho_inf", minus(Frac(Num(2), minus(Num(1), beta2)), Num(1)), "longest average")
    remaining = Pow(beta2, update.step)
    lost = Frac(Prod([Num(2), update.step, remaining]), minus(Num(1), remaining))
    length = update.add("rho", minus(longest, lost), "length of the average in this step")
    if length.value <= 5:
        return minus(update.w, Prod([update.lr, mean]))
    above = Prod([minus(length, Num(4)), minus(length, Num(2)), longest])
    below = Prod([minus(longest, Num(4)), minus(longest, Num(2)), length])
    rect = update.add("r", sqrt(Frac(above, below)), "rectification")
    adaptive = Frac(sqrt(minus(Num(1), remaining)), Sum([sqrt(second), update.option("eps", "eps")]))
    return minus(update.w, Prod([update.lr, mean, adaptive, rect]))


def _rprop(update: Update) -> Expression:
    shrink, grow = update.options["etas"]
    low, high = update.options["step_sizes"]
    has_old = update.record.state_before.get(update.weight.parameter)
    old_gradient = update.state("p", "prev")
    size = update.state("a", "step_size") if has_old else Var(f"a_{update.symbol}", update.lr.value)
    direction = old_gradient.value * update.g.value
    factor = grow if direction > 0 else shrink if direction < 0 else 1.0
    why = "same sign as before" if direction > 0 else "the sign changed" if direction < 0 else "no earlier sign"
    bounded = Call("clip", [Prod([size, Num(factor)])], lambda value: min(max(value, low), high))
    size = update.keep("a", "step_size", bounded, f"step size: {why}")
    used = Num(0.0) if direction < 0 else Call("sign", [update.g], lambda g: (g > 0) - (g < 0))
    update.keep("p", "prev", Num(0.0) if direction < 0 else update.g, "kept for the next step")
    return minus(update.w, Prod([size, used]))


FORMULAS: dict[str, Callable[[Update], Expression]] = {
    "sgd": _sgd,
    "adam": _adam,
    "adamw": _adamw,
    "adagrad": _adagrad,
    "adadelta": _adadelta,
    "rmsprop": _rmsprop,
    "adamax": _adamax,
    "nadam": _nadam,
    "radam": _radam,
    "rprop": _rprop,
}
