"""How the network is trained: length, batches, stopping, measuring, saving."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from nnzoo.config.base import WHOLE, Count, Items, NonNegative, Positive, Section
from nnzoo.config.metrics import MetricName
from nnzoo.config.suggest import did_you_mean


class EarlyStopping(Section):
    """Stop when the monitor has not improved for `patience` epochs."""

    patience: Count = Field(5, description="epochs without improvement until training stops")
    min_delta: NonNegative = Field(0.0, description="smaller changes of the monitor are no improvement")


class CheckpointEvery(Section):
    """When last.safetensors is written: at most once per second, and always at the end and on a signal.

    null switches a reason off.
    """

    every_epochs: Count | None = Field(1, description="epochs")
    every_steps: Count | None = Field(None, description="optimizer steps")
    every_minutes: Positive | None = Field(5.0, description="minutes, inside an epoch too")


_DEVICES = r"^(auto|cpu|mps|cuda(:\d+)?)$"


def _check_device(device: str) -> str:
    if not re.fullmatch(_DEVICES, device):
        hint = did_you_mean(device, ["cpu", "cuda", "mps"])
        raise PydanticCustomError("device", f"expected auto, cpu, cuda, cuda:N or mps, got '{device}'.{hint}")
    return device


Device = Annotated[str, AfterValidator(_check_device), WithJsonSchema({"type": "string", "pattern": _DEVICES})]


class Train(Section):
    """The training loop."""

    epochs: Count = Field(20, description="the most epochs to train")
    batch_size: Count | Literal["full"] = Field(
        32, description="samples a batch, of all processes together; full: one batch an epoch, in file order"
    )
    monitor: str = Field(
        "auto", description="what the best weights are chosen by: val/loss, train/loss, val/accuracy, ..."
    )
    mode: Literal["auto", "min", "max"] = Field(
        "auto", description="whether less or more is better; auto: as the metric says"
    )
    early_stopping: EarlyStopping | None = Field(EarlyStopping(), description="null: train all epochs")
    metrics: Literal["auto"] | Items[MetricName] = Field("auto", description="measured on train and val every epoch")
    clip_grad_norm: Positive | None = Field(None, description="gradients are scaled down to this 2-norm")
    accumulate_grad_batches: Count = Field(1, description="batches an optimizer step")
    precision: Literal["fp32", "bf16-mixed", "fp16-mixed"] = Field(
        "fp32",
        description="number format of layers in training and each epoch's validation (torch.autocast): bf16-mixed on "
        "GPUs and processors that compute in bfloat16, fp16-mixed with a loss scaler on CUDA. Weights and losses stay "
        "float32, and so does all that measures or uses the trained network: result.json, eval, predict",
    )
    compile: bool = Field(
        False,
        description="torch.compile for training and each epoch's validation: ten seconds or more at the start, then "
        "faster steps of some large networks. What it can't take is trained without it, and a line says why",
    )
    device: Device = Field("auto", description="auto (cuda where there is one, else cpu), cpu, cuda, cuda:N, mps")
    deterministic: bool = Field(True, description="same seed, same weights, bit by bit; on CUDA it may cost speed")
    num_threads: Annotated[int, Field(ge=1, le=1024), WHOLE] | None = Field(
        None,
        description="threads that compute on a CPU; null: a thread a core, one where a batch has little to do, or what "
        "OMP_NUM_THREADS says. It decides the last bits",
    )
    restarts: Annotated[int, Field(ge=1, le=10_000), WHOLE] = Field(
        1, description="random restarts: the same network from seed, seed + 1, ...; the best by the monitor is kept"
    )
    max_minutes: Positive | None = Field(None, description="stop after this wall time, with the best weights so far")
    checkpoint: CheckpointEvery = Field(CheckpointEvery(), description="when last.safetensors is written")


class Regularization(Section):
    """Penalties on weights (every parameter of two or more axes), not on biases and norms."""

    l1: NonNegative = Field(
        0.0, description="adds l1 * sum|w|, by a proximal step after the optimizer's: weights reach exactly zero"
    )
    l2: NonNegative = Field(0.0, description="adds l2 * sum w^2")
