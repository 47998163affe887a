"""Learning-rate schedulers, with the names and fields of torch.

Lengths are in epochs, or in steps with `interval: step`. A length or factor that is null is derived from the length of
the run after the warm-up.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field

from nnzoo.config.base import ByName, Count, Items, Natural, NonNegative, Positive, Probability, Section

LENGTHS = ("T_max", "total_iters", "total_steps", "step_size", "milestones", "T_0", "step_size_up", "gamma")
"""The fields that are derived from the length of the run if they are null."""
LAST_SHARE = 0.01
"""The factor of lr at the end of the run that `exponential` has by default."""
NUM_CYCLES = 3
"""The number of cycles of `cosine_restarts` and `cyclic` per run by default."""
BASE_SHARE = 0.25
"""The ratio base_lr / max_lr of `cyclic` by default; Smith (2017) uses a third or a quarter."""
_BY_OPTIMIZER = "null: true if the optimizer has momentum"


class Scheduler(Section):
    """Base class of all schedulers. The schedule starts after the warm-up."""

    name: str

    warmup_epochs: Natural = Field(
        0, description="number of warm-up epochs, in which lr rises linearly, step by step, to optimizer.lr"
    )
    interval: Literal["epoch", "step"] = Field("epoch", description="unit of t and of all lengths")

    def lengths(self, length: int) -> dict[str, Any]:  # noqa: ARG002
        """Returns the values of the null fields, which are derived from the length of the run.

        Args:
            length: Length of the run after the warm-up, in units of `interval`.
        """
        return {}


class ConstantLr(Scheduler):
    """lr stays constant."""

    name: Literal["constant"] = "constant"


class StepLr(Scheduler):
    """lr * gamma^floor(t / step_size)."""

    name: Literal["step"]
    step_size: Count | None = Field(None, description="length between two decays; null: a third of the run")
    gamma: Positive = Field(0.1, description="factor of each decay")

    def lengths(self, length: int) -> dict[str, Any]:
        return {} if self.step_size else {"step_size": math.ceil(length / 3)}


class MultiStepLr(Scheduler):
    """lr * gamma^(number of milestones <= t)."""

    name: Literal["multistep"]
    milestones: Items[Count] | None = Field(
        None,
        description="when lr decays, in increasing order; null: at half and three quarters of the run (He et al. 2016)",
    )
    gamma: Positive = Field(0.1, description="factor at each milestone")

    def lengths(self, length: int) -> dict[str, Any]:
        halves = sorted({math.ceil(length / 2), math.ceil(3 * length / 4)})
        return {} if self.milestones is not None else {"milestones": halves}


class ExponentialLr(Scheduler):
    """lr * gamma^t."""

    name: Literal["exponential"]
    gamma: Positive | None = Field(None, description="factor per unit of t; null: lr ends at 1 % of its initial value")

    def lengths(self, length: int) -> dict[str, Any]:
        return {} if self.gamma else {"gamma": LAST_SHARE ** (1 / length)}


class CosineLr(Scheduler):
    """eta_min + (lr - eta_min) * (1 + cos(pi * t / T_max)) / 2 (Loshchilov & Hutter 2017)."""

    name: Literal["cosine"]
    T_max: Count | None = Field(None, description="length of the decay; null: the whole run")
    eta_min: NonNegative = Field(0.0, description="lowest lr")

    def lengths(self, length: int) -> dict[str, Any]:
        return {} if self.T_max else {"T_max": length}


class Plateau(Scheduler):
    """lr * factor whenever the monitor has not improved for more than `patience` epochs."""

    name: Literal["plateau"]
    factor: Probability = Field(0.1, description="factor of lr")
    patience: Natural = Field(10, description="number of epochs without improvement before lr is reduced")
    threshold: NonNegative = Field(1e-4, description="smallest change of the monitor that counts as an improvement")
    threshold_mode: Literal["rel", "abs"] = Field(
        "rel", description="rel: threshold is relative to the best value; abs: absolute"
    )
    cooldown: Natural = Field(0, description="number of epochs to wait after a reduction")
    min_lr: NonNegative = Field(0.0, description="lowest lr")
    eps: NonNegative = Field(1e-8, description="changes of lr smaller than this are ignored")


class LinearLr(Scheduler):
    """lr * (start_factor + (end_factor - start_factor) * min(t, total_iters) / total_iters)."""

    name: Literal["linear"]
    start_factor: Annotated[float, Field(gt=0, le=1)] = Field(1 / 3, description="factor at the start")
    end_factor: Annotated[float, Field(ge=0, le=1)] = Field(1.0, description="factor at the end")
    total_iters: Count | None = Field(None, description="length of the change; null: the whole run")

    def lengths(self, length: int) -> dict[str, Any]:
        return {} if self.total_iters else {"total_iters": length}


class PolynomialLr(Scheduler):
    """lr * (1 - min(t, total_iters) / total_iters)^power."""

    name: Literal["polynomial"]
    power: NonNegative = Field(1.0, description="exponent; 1: linear")
    total_iters: Count | None = Field(None, description="length of the decay; null: the whole run")

    def lengths(self, length: int) -> dict[str, Any]:
        return {} if self.total_iters else {"total_iters": length}


class CosineRestarts(Scheduler):
    """A cosine from lr to eta_min that restarts, T_mult times longer each time (Loshchilov & Hutter 2017)."""

    name: Literal["cosine_restarts"]
    T_0: Count | None = Field(None, description="length of the first cycle; null: three cycles per run")
    T_mult: Count = Field(1, description="factor by which the length grows from one cycle to the next")
    eta_min: NonNegative = Field(0.0, description="lowest lr")

    def lengths(self, length: int) -> dict[str, Any]:
        falls = sum(self.T_mult**index for index in range(NUM_CYCLES))
        return {} if self.T_0 else {"T_0": math.ceil(length / falls)}


class OneCycle(Scheduler):
    """lr rises from max_lr / div_factor to max_lr, then falls to 1 / final_div_factor of that (Smith & Topin 2018).

    By default t counts steps. After total_steps, lr stays at its last value.
    """

    name: Literal["one_cycle"]
    interval: Literal["epoch", "step"] = Field("step", description="unit of t and of all lengths")
    max_lr: Positive | None = Field(None, description="highest lr; null: optimizer.lr")
    total_steps: Count | None = Field(None, description="length of the cycle; null: the whole run")
    pct_start: Probability = Field(0.3, description="fraction of the cycle in which lr rises")
    anneal_strategy: Literal["cos", "linear"] = Field("cos", description="shape of the increase and the decrease")
    cycle_momentum: bool | None = Field(
        None, description=f"whether momentum (or the first of betas) falls while lr rises, and back; {_BY_OPTIMIZER}"
    )
    base_momentum: Probability = Field(0.85, description="lowest momentum")
    max_momentum: Probability = Field(0.95, description="highest momentum")
    div_factor: Positive = Field(25.0, description="the initial lr is max_lr / div_factor")
    final_div_factor: Positive = Field(1e4, description="the final lr is the initial lr / final_div_factor")
    three_phase: bool = Field(
        False, description="lr first falls to the initial lr in as many steps as it rose, and then to the final lr"
    )

    def lengths(self, length: int) -> dict[str, Any]:
        return {} if self.total_steps else {"total_steps": length}


class Cyclic(Scheduler):
    """lr rises linearly from base_lr to max_lr and falls back, periodically (Smith 2017).

    By default t counts steps.
    """

    name: Literal["cyclic"]
    interval: Literal["epoch", "step"] = Field("step", description="unit of t and of all lengths")
    base_lr: NonNegative | None = Field(None, description="lowest lr; null: a quarter of max_lr (Smith 2017)")
    max_lr: Positive | None = Field(None, description="highest lr; null: optimizer.lr")
    step_size_up: Count | None = Field(
        None, description="length of the increasing half of a cycle; null: a sixth of the run"
    )
    step_size_down: Count | None = Field(
        None, description="length of the decreasing half of a cycle; null: step_size_up"
    )
    mode: Literal["triangular", "triangular2", "exp_range"] = Field(
        "triangular",
        description="triangular2: the amplitude is halved after each cycle; exp_range: the amplitude is scaled by "
        "gamma^t",
    )
    gamma: Annotated[float, Field(gt=0, le=1)] = Field(1.0, description="factor per unit of t with mode: exp_range")
    cycle_momentum: bool | None = Field(
        None, description=f"whether momentum (or the first of betas) falls while lr rises, and back; {_BY_OPTIMIZER}"
    )
    base_momentum: Probability = Field(0.8, description="lowest momentum")
    max_momentum: Probability = Field(0.9, description="highest momentum")

    def lengths(self, length: int) -> dict[str, Any]:
        return {} if self.step_size_up else {"step_size_up": math.ceil(length / (2 * NUM_CYCLES))}


SchedulerSection = Annotated[
    ConstantLr
    | StepLr
    | MultiStepLr
    | ExponentialLr
    | LinearLr
    | PolynomialLr
    | CosineLr
    | CosineRestarts
    | OneCycle
    | Cyclic
    | Plateau,
    Field(discriminator="name"),
    ByName("a scheduler", default="constant"),
]
