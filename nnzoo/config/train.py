"""The training loop: epochs, batches, early stopping, metrics, checkpoints."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from nnzoo.config.base import INTEGER, Count, Items, NonNegative, Positive, Section
from nnzoo.config.metrics import MetricName
from nnzoo.config.suggest import did_you_mean


class EarlyStopping(Section):
    """Stops training when the monitor has not improved for `patience` epochs."""

    patience: Count = Field(5, description="number of epochs without improvement before training stops")
    min_delta: NonNegative = Field(0.0, description="minimum change of the monitor that counts as an improvement")


class CheckpointEvery(Section):
    """When last.safetensors is written: at most once per second, and always at the end and on a signal."""

    every_epochs: Count | None = Field(1, description="every N epochs; null: never")
    every_steps: Count | None = Field(None, description="every N optimizer steps; null: never")
    every_minutes: Positive | None = Field(5.0, description="every N minutes, also within an epoch; null: never")


_DEVICES = r"^(auto|cpu|mps|cuda(:\d+)?)$"


def _check_device(device: str) -> str:
    if not re.fullmatch(_DEVICES, device):
        hint = did_you_mean(device, ["cpu", "cuda", "mps"])
        raise PydanticCustomError("device", f"expected auto, cpu, cuda, cuda:N or mps, got '{device}'.{hint}")
    return device


Device = Annotated[str, AfterValidator(_check_device), WithJsonSchema({"type": "string", "pattern": _DEVICES})]


BaselineName = Literal["linear", "gradient_boosting"]


def title_of(baseline: str) -> str:
    """Returns what a baseline is called in tables and reports."""
    return {"linear": "linear model"}.get(baseline, baseline.replace("_", " "))


class Train(Section):
    """The training loop."""

    epochs: Count = Field(20, description="maximum number of epochs")
    batch_size: Count | Literal["full", "auto"] = Field(
        "auto",
        description="number of samples per batch, over all processes; full: one batch per epoch, not shuffled; auto: "
        "32; for `model: tabular` and for the classification of the rows of a table, the power of two from 32 to 256 "
        "that is at most 1 % of the train rows",
    )
    monitor: str = Field(
        "auto",
        description="metric that selects the best weights, such as val/loss or val/accuracy; auto: val/loss, or "
        "train/loss without a val split",
    )
    mode: Literal["auto", "min", "max"] = Field(
        "auto", description="whether a lower (min) or a higher (max) monitor is better; auto: depends on the metric"
    )
    early_stopping: EarlyStopping | None = Field(
        EarlyStopping(), description="early stopping; null: train for `epochs` epochs"
    )
    metrics: Literal["auto"] | Items[MetricName] = Field(
        "auto", description="metrics to compute on train and val in every epoch; auto: those of the task"
    )
    clip_grad_norm: Positive | None = Field(
        None, description="maximum norm of the gradients; larger gradients are scaled down; null: no clipping"
    )
    ema: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="decay of an exponential moving average of the weights, such as 0.99: about the mean of the last "
        "1 / (1 - ema) steps. The averaged weights are evaluated after each epoch and kept as the best weights; null: "
        "no average",
    )
    tta: Literal["horizontal_flip"] | None = Field(
        None,
        description="test-time augmentation: horizontal_flip averages the outputs for each image and its mirror image, "
        "in validation, result.json, eval and predict, which then take twice as long; null: none",
    )
    accumulate_grad_batches: Count = Field(1, description="number of batches per optimizer step")
    precision: Literal["fp32", "bf16-mixed", "fp16-mixed"] = Field(
        "fp32",
        description="precision of the forward and backward pass (torch.autocast): bf16-mixed on GPUs and CPUs with "
        "bfloat16, fp16-mixed with a gradient scaler on CUDA. Weights, losses, the final evaluation, eval and predict "
        "use float32",
    )
    compile: bool | Literal["cuda_graphs"] = Field(
        False,
        description="use torch.compile for training and validation: compiling takes ten seconds or more, and makes "
        "the steps of some large networks faster. A network that can't be compiled is trained without it, with a "
        "warning. cuda_graphs: also replay the kernels of a step as CUDA graphs, for small networks on CUDA",
    )
    device: Device = Field("auto", description="cpu, cuda, cuda:N, mps or auto (cuda if available, else cpu)")
    deterministic: bool = Field(
        True,
        description="use deterministic algorithms: the same seed gives the same weights, bit by bit; may be slower on "
        "CUDA",
    )
    num_threads: Annotated[int, Field(ge=1, le=1024), INTEGER] | None = Field(
        None,
        description="number of CPU threads; null: OMP_NUM_THREADS, else one per core, or one thread for small "
        "networks. It affects the last bits of the result",
    )
    restarts: Annotated[int, Field(ge=1, le=10_000), INTEGER] = Field(
        1, description="number of random restarts, with seeds seed, seed + 1, ...; the best one by the monitor is kept"
    )
    folds: Annotated[int, Field(ge=2, le=1000), INTEGER] | None = Field(
        None,
        description="k-fold cross-validation: train this many networks, each without another fold of the samples, and "
        "average them; null: one network",
    )
    max_minutes: Positive | None = Field(
        None, description="stop after this wall time, with the best weights so far; null: no limit"
    )
    probes: bool = Field(
        True,
        description="record the health of each layer in health.csv on a few sampled steps per epoch: dead units, "
        "saturated values, gradients, updates and activations. The weights are the same without it",
    )
    baselines: Literal["auto", False] | Items[BaselineName] = Field(
        "auto",
        description="simple models that are fitted on train and measured beside the network: linear, and "
        "gradient_boosting for tables; auto: those that take at most a few seconds; false: none",
    )
    log: Items[Literal["tensorboard"]] = Field(
        (),
        description="other viewers to write for: tensorboard writes scalars, histograms, the graph and sample images "
        "to the folder tensorboard of the run; needs the extra nnzoo[tensorboard]",
    )
    checkpoint: CheckpointEvery = Field(CheckpointEvery(), description="when to write last.safetensors")


class Regularization(Section):
    """Penalties on weights: parameters with two or more axes. Biases and normalization layers have no penalty."""

    l1: NonNegative = Field(
        0.0,
        description="L1 penalty l1 * sum |w|, as a proximal step after each optimizer step: weights become exactly "
        "zero",
    )
    l2: NonNegative = Field(0.0, description="L2 penalty l2 * sum w^2")
