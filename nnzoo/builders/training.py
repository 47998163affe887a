"""Builds the loss, decoder, optimizer, schedule, settings and device from their config sections."""

from __future__ import annotations

import math
import os
from typing import Any

import torch
from torch import Tensor, nn

from nnzoo.builders.parameters import frozen_epochs
from nnzoo.config import Config
from nnzoo.config import loss as loss_config
from nnzoo.config import optimizer as optimizer_config
from nnzoo.config import scheduler as scheduler_config
from nnzoo.config.base import fields_of
from nnzoo.config.choices import has_momentum
from nnzoo.config.load import problems_of
from nnzoo.data import Dataset, Preprocess
from nnzoo.errors import UsageError
from nnzoo.models import Unfreezing, head_of
from nnzoo.models.parameters import hidden_weights
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
    SampleWeightedLoss,
)
from nnzoo.training.optimization.average import WeightAverage
from nnzoo.training.optimization.optimizers import build_optimizer as optimizer_of
from nnzoo.training.optimization.schedules import Schedule
from nnzoo.training.processes.group import SINGLE_PROCESS, Group
from nnzoo.training.settings import Settings


def build_loss(config: Config, dataset: Dataset | None) -> nn.Module:
    """Builds the loss of a resolved config: a function of outputs, encoded targets, and weights of samples if any.

    Args:
        config: The config.
        dataset: Its dataset; None for a loss that depends on no data, without balanced weights of classes.
    """
    loss = _plain_loss(config, dataset)
    return loss if dataset is None or dataset.train.weights is None else SampleWeightedLoss(loss)


def _plain_loss(config: Config, dataset: Dataset | None) -> nn.Module:
    section = config.loss
    reads = output_scale(config)
    if isinstance(section, loss_config.WeightedLoss):
        weights = _class_weights(section, dataset)
        match section:
            case loss_config.Focal():
                return FocalLoss(reads=reads, reduction=section.reduction, gamma=section.gamma, class_weights=weights)
            case loss_config.MultiMargin():
                return MultiMarginLoss(
                    reduction=section.reduction, p=section.p, margin=section.margin, class_weights=weights
                )
        return CrossEntropyLoss(
            reads=reads,
            reduction=section.reduction,
            label_smoothing=getattr(section, "label_smoothing", 0.0),
            class_weights=weights,
        )
    if isinstance(section, loss_config.KlDiv):
        return KLDivLoss(reads=reads, reduction=section.reduction)
    if isinstance(section, loss_config.Perceptron):
        return PerceptronLoss(reduction=section.reduction)
    if isinstance(section, loss_config.Bce):
        return BCELoss(reads=reads, reduction=section.reduction)
    if isinstance(section, loss_config.Hinge):
        return HingeLoss(reduction=section.reduction)
    if isinstance(section, loss_config.Huber):
        return nn.HuberLoss(reduction=section.reduction, delta=section.delta)
    if isinstance(section, loss_config.SmoothL1):
        return nn.SmoothL1Loss(reduction=section.reduction, beta=section.beta)
    if isinstance(section, loss_config.L1):
        return nn.L1Loss(reduction=section.reduction)
    return nn.MSELoss(reduction=section.reduction)


def output_scale(config: Config) -> Reads:
    """Returns the scale of the outputs (logits, probabilities, ...), which depends on loss and output activation."""
    activation = config.model.output.activation.name if hasattr(config.model, "output") else "identity"
    if config.loss.reads == "logits":
        if activation in ("softmax", "sigmoid"):
            return "probabilities"
        if activation == "log_softmax":
            return "log_probabilities"
        if isinstance(config.loss, loss_config.Bce):
            return "log_odds"
    return config.loss.reads


def _class_weights(section: loss_config.WeightedLoss, dataset: Dataset | None) -> Tensor | None:
    if section.class_weights is None:
        return None
    if section.class_weights != "balanced":
        return torch.tensor(section.class_weights)
    assert dataset is not None
    counts = dataset.train.class_indices().bincount(minlength=len(dataset.classes))
    return counts.sum() / (len(counts) * counts.clamp_min(1).float())


def build_decoder(config: Config, dataset: Dataset, preprocess: Preprocess) -> Decoder:
    """Builds the decoder, which converts outputs into predictions."""
    return Decoder(dataset.task, output_scale(config), len(dataset.classes), preprocess, dataset.per)


def build_optimizer(config: Config, module: nn.Module) -> torch.optim.Optimizer:
    """Builds the optimizer over the parameters that are trained, from the first or a later epoch on."""
    section: optimizer_config.OptimizerSection = config.optimizer
    fields = fields_of(section, "backbone_lr")
    groups = _parameter_groups(config, module)
    if isinstance(section, optimizer_config.Muon):
        trained = [parameter for group in groups for parameter in group["params"]]
        return optimizer_of(section.name, trained, hidden=hidden_weights(module), **fields)
    return optimizer_of(section.name, groups, **fields)


def _parameter_groups(config: Config, module: nn.Module) -> list[dict[str, Any]]:
    """Returns the parameter groups of the optimizer, first those with the learning rate `optimizer.lr`.

    Parameters that are trained from different epochs on are in different groups: fused kernels need the state of all
    parameters of a group or of none. L-BFGS has only one group.

    Raises:
        ConfigError: With `backbone_lr`, no parameter of the output layer or of the other layers is trained.
    """
    frozen = frozen_epochs(config, module)
    backbone_lr: float | None = getattr(config.optimizer, "backbone_lr", None)
    is_single, head = isinstance(config.optimizer, optimizer_config.Lbfgs), f"{head_of(module)}."
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        start = frozen.get(name, 0.0 if parameter.requires_grad else math.inf)
        if start < math.inf:
            is_backbone = backbone_lr is not None and not name.startswith(head)
            groups.setdefault((is_backbone, 0.0 if is_single else start), []).append(parameter)
    if backbone_lr is not None and len({is_backbone for is_backbone, _ in groups}) == 1:
        side = "the output layer" if all(is_backbone for is_backbone, _ in groups) else "any other layer"
        problem = f"no parameter of {side} is trained, so there is only one learning rate. Set `lr` instead."
        raise problems_of(config, [(("optimizer", "backbone_lr"), problem)])
    rates = {True: {"lr": backbone_lr}, False: {}}
    return [{"params": groups[key], **rates[key[0]]} for key in sorted(groups)]


def build_unfreezing(config: Config, module: nn.Module) -> Unfreezing:
    """Builds the parameters that are frozen in the first epochs and trained later."""
    starts: dict[int, list[nn.Parameter]] = {}
    for name, epochs in frozen_epochs(config, module).items():
        if epochs < math.inf:
            starts.setdefault(int(epochs), []).append(module.get_parameter(name))
    return Unfreezing(starts)


def build_schedule(config: Config, optimizer: torch.optim.Optimizer, steps_per_epoch: int) -> Schedule:
    """Builds the learning-rate schedule."""
    section: scheduler_config.Scheduler = config.scheduler
    length = config.train.epochs - section.warmup_epochs
    length *= steps_per_epoch if section.interval == "step" else 1
    fields = fields_of(section, "warmup_epochs", "interval") | section.lengths(length)
    if isinstance(section, scheduler_config.OneCycle | scheduler_config.Cyclic):
        if section.max_lr is None:
            fields["max_lr"] = config.optimizer.lr
        if section.cycle_momentum is None:
            fields["cycle_momentum"] = has_momentum(config.optimizer)
        if fields.get("base_lr", 0) is None:
            fields["base_lr"] = scheduler_config.BASE_SHARE * fields["max_lr"]
    if isinstance(section, scheduler_config.OneCycle) and math.isclose(section.pct_start * fields["total_steps"], 1):
        # torch divides by the length of the rise less one step, which is 0 for a rise of one step.
        fields["pct_start"] *= 1 - 1e-9
    if isinstance(section, scheduler_config.Plateau):
        fields["mode"] = config.train.mode
    return Schedule(
        optimizer,
        section.name,
        interval=section.interval,
        warmup_steps=section.warmup_epochs * steps_per_epoch,
        **fields,
    )


def build_average(config: Config, network: nn.Module) -> WeightAverage | None:
    """Builds the average of the weights; returns None without `train.ema`."""
    if config.train.ema is None:
        return None
    return WeightAverage(network, config.train.ema, build_unfreezing(config, network))


def build_scaler(config: Config, device: torch.device) -> torch.amp.GradScaler | None:
    """Builds the loss scaler; returns None unless training is in fp16."""
    return torch.amp.GradScaler(device.type) if config.train.precision == "fp16-mixed" else None


def build_settings(config: Config) -> Settings:
    """Builds the settings of the training loop."""
    train, penalty = config.train, config.regularization
    checkpoint = train.checkpoint
    return Settings(
        probes=config.train.probes,
        epochs=train.epochs,
        batch_size=train.batch_size if isinstance(train.batch_size, int) else 0,
        monitor=train.monitor,
        metrics=tuple(train.metrics),
        seed=config.seed,
        accumulate=train.accumulate_grad_batches,
        clip_grad_norm=train.clip_grad_norm,
        l1=penalty.l1,
        l2=penalty.l2,
        mirrored=train.tta is not None,
        max_seconds=train.max_minutes * 60 if train.max_minutes else None,
        every_epochs=checkpoint.every_epochs,
        every_steps=checkpoint.every_steps,
        every_seconds=checkpoint.every_minutes * 60 if checkpoint.every_minutes else None,
    )


def move_to_device(config: Config, module: nn.Module, device: torch.device) -> nn.Module:
    """Moves a network to its device, with channels-last weights if that is faster.

    Channels last is faster on a CPU (LeNet, ResNet and others train 1.1 to 1.4 times as fast), and on CUDA only in half
    precision. The choice follows a fixed rule, not a timing, because the memory format changes the last bits of the
    results. Activations become channels last too; shapes stay the same. A custom module keeps its memory format, since
    it may rely on it.
    """
    module = module.to(device)
    is_faster = device.type == "cpu" or (device.type == "cuda" and config.train.precision != "fp32")
    if is_faster and config.model.name != "custom":
        module = module.to(memory_format=torch.channels_last)
    return module


def choose_device(name: str, group: Group = SINGLE_PROCESS) -> torch.device:
    """Returns the device of `train.device`; auto is CUDA if there is a CUDA device, else the CPU.

    Args:
        name: The value of `train.device`.
        group: The process group; each of several processes uses its own CUDA device.

    Raises:
        UsageError: The device does not exist, or several processes can't train on it.
    """
    if group.size > 1:
        if name not in ("auto", "cpu", "cuda"):
            raise UsageError(
                f"'{name}' is a single device, but there are {group.size} processes. Use auto, cpu or cuda: each "
                "process "
                "takes the CUDA device of its local rank.",
                where="train.device",
            )
        if name == "cuda" or (name == "auto" and torch.cuda.is_available()):
            name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        if group.size > 1 and torch.cuda.is_available():
            local = os.environ.get("LOCAL_WORLD_SIZE", str(group.size))
            raise UsageError(
                f"there are {local} processes on this machine, but only {torch.cuda.device_count()} CUDA devices, and "
                "each process needs its own. Start fewer processes, or use cpu.",
                where="train.device",
            )
        available = f"{torch.cuda.device_count()} CUDA devices" if torch.cuda.is_available() else "no CUDA device"
        raise UsageError(f"'{name}' is not available: torch finds {available}. Use auto or cpu.", where="train.device")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("'mps' is not available: torch finds no MPS device. Use auto or cpu.", where="train.device")
    return device
