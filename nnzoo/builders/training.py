"""Training: from its sections to loss, decoder, optimizer, schedule, settings and device."""

from __future__ import annotations

import math
import os

import torch
from torch import Tensor, nn

from nnzoo.config import Config
from nnzoo.config import loss as loss_words
from nnzoo.config import optimizer as optimizer_words
from nnzoo.config import scheduler as scheduler_words
from nnzoo.config.base import fields_of
from nnzoo.config.choices import has_momentum
from nnzoo.data import Dataset, Preprocess
from nnzoo.errors import UsageError
from nnzoo.training.measures.decoding import Decoder
from nnzoo.training.measures.losses import (
    BCELoss,
    CrossEntropyLoss,
    FocalLoss,
    HingeLoss,
    KLDivLoss,
    MultiMarginLoss,
    PerceptronLoss,
    Reads,
)
from nnzoo.training.optimization.optimizers import build_optimizer as optimizer_of
from nnzoo.training.optimization.schedules import Schedule
from nnzoo.training.processes.group import SINGLE_PROCESS, Group
from nnzoo.training.settings import Settings


def build_loss(config: Config, dataset: Dataset) -> nn.Module:
    """The loss of a resolved config: of outputs and encoded targets."""
    section = config.loss
    reads = output_scale(config)
    if isinstance(section, loss_words.WeightedLoss):
        weights = _class_weights(section, dataset)
        match section:
            case loss_words.Focal():
                return FocalLoss(reads=reads, reduction=section.reduction, gamma=section.gamma, class_weights=weights)
            case loss_words.MultiMargin():
                return MultiMarginLoss(
                    reduction=section.reduction, p=section.p, margin=section.margin, class_weights=weights
                )
        return CrossEntropyLoss(
            reads=reads,
            reduction=section.reduction,
            label_smoothing=getattr(section, "label_smoothing", 0.0),
            class_weights=weights,
        )
    if isinstance(section, loss_words.KlDiv):
        return KLDivLoss(reads=reads, reduction=section.reduction)
    if isinstance(section, loss_words.Perceptron):
        return PerceptronLoss(reduction=section.reduction)
    if isinstance(section, loss_words.Bce):
        return BCELoss(reads=reads, reduction=section.reduction)
    if isinstance(section, loss_words.Hinge):
        return HingeLoss(reduction=section.reduction)
    if isinstance(section, loss_words.Huber):
        return nn.HuberLoss(reduction=section.reduction, delta=section.delta)
    if isinstance(section, loss_words.SmoothL1):
        return nn.SmoothL1Loss(reduction=section.reduction, beta=section.beta)
    if isinstance(section, loss_words.L1):
        return nn.L1Loss(reduction=section.reduction)
    return nn.MSELoss(reduction=section.reduction)


def output_scale(config: Config) -> Reads:
    """What the output units are: what the loss reads, unless the output activation says more."""
    activation = config.model.output.activation.name if hasattr(config.model, "output") else "identity"
    if config.loss.reads == "logits":
        if activation in ("softmax", "sigmoid"):
            return "probabilities"
        if activation == "log_softmax":
            return "log_probabilities"
        if isinstance(config.loss, loss_words.Bce):
            return "log_odds"
    return config.loss.reads


def _class_weights(section: loss_words.WeightedLoss, dataset: Dataset) -> Tensor | None:
    if section.class_weights is None:
        return None
    if section.class_weights != "balanced":
        return torch.tensor(section.class_weights)
    counts = dataset.train.class_indices().bincount(minlength=len(dataset.classes))
    return counts.sum() / (len(counts) * counts.clamp_min(1).float())


def build_decoder(config: Config, dataset: Dataset, preprocess: Preprocess) -> Decoder:
    """What turns outputs into answers."""
    return Decoder(dataset.task, output_scale(config), len(dataset.classes), preprocess, dataset.per)


def build_optimizer(config: Config, module: nn.Module) -> torch.optim.Optimizer:
    """The optimizer over the parameters that are trained."""
    section: optimizer_words.OptimizerSection = config.optimizer
    return optimizer_of(section.name, module.parameters(), **fields_of(section))


def build_schedule(config: Config, optimizer: torch.optim.Optimizer, steps_per_epoch: int) -> Schedule:
    """Builds the learning-rate schedule."""
    section: scheduler_words.Scheduler = config.scheduler
    length = config.train.epochs - section.warmup_epochs
    length *= steps_per_epoch if section.interval == "step" else 1
    fields = fields_of(section, "warmup_epochs", "interval") | section.lengths(length)
    if isinstance(section, scheduler_words.OneCycle | scheduler_words.Cyclic):
        if section.max_lr is None:
            fields["max_lr"] = config.optimizer.lr
        if section.cycle_momentum is None:
            fields["cycle_momentum"] = has_momentum(config.optimizer)
        if fields.get("base_lr", 0) is None:
            fields["base_lr"] = scheduler_words.BASE_SHARE * fields["max_lr"]
    if isinstance(section, scheduler_words.OneCycle) and math.isclose(section.pct_start * fields["total_steps"], 1):
        # A rise of one step has no length to torch, which divides by it.
        fields["pct_start"] *= 1 - 1e-9
    if isinstance(section, scheduler_words.Plateau):
        fields["mode"] = config.train.mode
    return Schedule(
        optimizer,
        section.name,
        interval=section.interval,
        warmup_steps=section.warmup_epochs * steps_per_epoch,
        **fields,
    )


def build_scaler(config: Config, device: torch.device) -> torch.amp.GradScaler | None:
    """What scales the loss; None where gradients fit their number format."""
    return torch.amp.GradScaler(device.type) if config.train.precision == "fp16-mixed" else None


def build_settings(config: Config) -> Settings:
    """How the loop runs."""
    train, penalty = config.train, config.regularization
    every = train.checkpoint
    return Settings(
        epochs=train.epochs,
        batch_size=0 if train.batch_size == "full" else train.batch_size,
        monitor=train.monitor,
        metrics=tuple(train.metrics),
        seed=config.seed,
        accumulate=train.accumulate_grad_batches,
        clip_grad_norm=train.clip_grad_norm,
        l1=penalty.l1,
        l2=penalty.l2,
        max_seconds=train.max_minutes * 60 if train.max_minutes else None,
        every_epochs=every.every_epochs,
        every_steps=every.every_steps,
        every_seconds=every.every_minutes * 60 if every.every_minutes else None,
    )


def place(config: Config, module: nn.Module, device: torch.device) -> nn.Module:
    """Moves a network to its device, and the weights of its convolutions channels last where that is the faster way.

    On a CPU it is: LeNet, ResNet and others train 1.1 to 1.4 times as fast. On CUDA it is so in half precision alone.
    By this rule and never by a timing, since it decides the last bits. What such weights read and make becomes channels
    last too, and keeps its shape. A module of the user's own keeps the order that it has: it may rely on it.
    """
    module = module.to(device)
    is_faster = device.type == "cpu" or (device.type == "cuda" and config.train.precision != "fp32")
    if is_faster and config.model.name != "custom":
        module = module.to(memory_format=torch.channels_last)
    return module


def choose_device(name: str, group: Group = SINGLE_PROCESS) -> torch.device:
    """The device of `train.device`; auto takes CUDA where there is one, else the CPU.

    Args:
        name: As in a config.
        group: Of several processes each has a CUDA device of its own.

    Raises:
        UsageError: It is not there, or several processes can't train on it.
    """
    if group.size > 1:
        if name not in ("auto", "cpu", "cuda"):
            problem = f"'{name}' is one device, and there are {group.size} processes. Use auto, cpu or cuda"
            raise UsageError(f"{problem}: each takes the CUDA device of its own number.", where="train.device")
        if name == "cuda" or (name == "auto" and torch.cuda.is_available()):
            name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        if group.size > 1 and torch.cuda.is_available():
            local = os.environ.get("LOCAL_WORLD_SIZE", str(group.size))
            problem = f"{local} processes on this machine, and torch sees {torch.cuda.device_count()} CUDA devices"
            raise UsageError(f"{problem}: each needs its own. Start fewer, or use cpu.", where="train.device")
        there = f"{torch.cuda.device_count()} CUDA devices" if torch.cuda.is_available() else "no CUDA device"
        raise UsageError(f"'{name}' was asked for, and torch sees {there}. Use auto or cpu.", where="train.device")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("'mps' was asked for, and torch has no MPS here. Use auto or cpu.", where="train.device")
    return device
