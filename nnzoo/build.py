"""The one door from words to objects: a config section in, a plain PyTorch object out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nnzoo import data as sources
from nnzoo.config import Config, Facts, check_facts, num_outputs, resolve
from nnzoo.config import activation as activations
from nnzoo.config import data as data_words
from nnzoo.config import init as init_words
from nnzoo.config import loss as loss_words
from nnzoo.config import model as model_words
from nnzoo.config import optimizer as optimizer_words
from nnzoo.config import scheduler as scheduler_words
from nnzoo.config.base import Section
from nnzoo.config.document import Path
from nnzoo.config.load import problems_of
from nnzoo.data import Dataset, Preprocess
from nnzoo.errors import UsageError
from nnzoo.models import MLP, HiddenLayer, Rule, freeze, initialize, plan
from nnzoo.models.initializers import Assignment
from nnzoo.training.decoding import Decoder
from nnzoo.training.loop import Settings
from nnzoo.training.losses import BCELoss, CrossEntropyLoss, HingeLoss, Reads
from nnzoo.training.optimizers import build_optimizer as optimizer_of
from nnzoo.training.schedules import Schedule

ACTIVATIONS: dict[str, Callable[..., nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "prelu": nn.PReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
    "hardtanh": nn.Hardtanh,
    "softmax": lambda: nn.Softmax(dim=1),
    "log_softmax": lambda: nn.LogSoftmax(dim=1),
}

SOURCES: dict[str, Callable[..., Dataset]] = {
    "moons": sources.load_moons,
    "circles": sources.load_circles,
    "spirals": sources.load_spirals,
    "blobs": sources.load_blobs,
    "sine": sources.load_sine,
    "random": sources.load_random,
    "digits": sources.load_digits,
    "iris": sources.load_iris,
    "wine": sources.load_wine,
    "breast_cancer": sources.load_breast_cancer,
    "diabetes": sources.load_diabetes,
    "arrays": sources.load_arrays,
}


def fields_of(section: Section, *without: str) -> dict[str, Any]:
    """A section's values by field, but for `name` and those named."""
    return {key: getattr(section, key) for key in type(section).model_fields if key not in ("name", *without)}


def build_dataset(config: Config) -> Dataset:
    """Reads the data and divides it.

    Raises:
        DataError: It is missing, damaged, or too small for the splits asked for.
    """
    section = config.data
    fields = fields_of(section, "split")
    if isinstance(section, data_words.Gate):
        dataset = sources.load_gate(section.name, **fields)
    else:
        dataset = SOURCES[section.name](**fields)
    split = section.split
    if len(dataset.train) == 1 and "split" not in section.model_fields_set:
        return dataset
    return sources.divide(dataset, val=split.val, test=split.test, stratify=split.stratify, seed=split.seed)


def facts_of(config: Config, dataset: Dataset) -> Facts:
    """What the data itself tells."""
    words = config.data.facts()
    return Facts(
        task=dataset.task,
        layout=dataset.layout,
        num_classes=len(dataset.classes),
        num_targets=len(dataset.target_names) if dataset.task == "regression" else 0,
        input_shape=dataset.input_shape,
        has_val="val" in dataset.splits,
        has_test="test" in dataset.splits,
        num_train=len(dataset.train),
        normalize=words.normalize,
        scale_target=words.scale_target and dataset.task == "regression",
    )


def build_preprocess(config: Config, dataset: Dataset) -> Preprocess:
    """Fits the transforms on the train split."""
    steps = config.preprocess
    return Preprocess.fit(
        dataset,
        normalize=steps.normalize,  # type: ignore[arg-type]  # resolved: no longer auto
        pca=steps.pca.n_components if steps.pca else None,
        whiten=bool(steps.pca and steps.pca.whiten),
        zca=steps.zca,
        scale_target=steps.scale_target is True,
    )


def build_activation(section: activations.Activation | None) -> nn.Module | None:
    """The module of an activation; None for identity."""
    if section is None or section.name == "identity":
        return None
    return ACTIVATIONS[section.name](**fields_of(section))


def build_model(config: Config, input_shape: Sequence[int] | None = None, num_outputs: int | None = None) -> nn.Module:
    """The network of a config, initialised from torch's global generator and with its frozen parameters frozen.

    Args:
        config: A config; with a custom model there is nothing to build.
        input_shape: One sample as the network gets it, without the batch axis; default: as the data has it.
        num_outputs: Output units; default: as data and loss ask for.

    Raises:
        ConfigError: Values or a pattern that don't fit the network.
    """
    if input_shape is None or num_outputs is None:
        shape, outputs = network_shape(config)
        input_shape, num_outputs = input_shape or shape, num_outputs or outputs
    section = config.model
    if not isinstance(section, model_words.Linear | model_words.Mlp):
        raise UsageError("the model is a module of your own: pass it as `model=`.", where="model")
    module = MLP(
        math.prod(input_shape),
        num_outputs,
        hidden=_hidden_layers(section),
        output_activation=build_activation(section.output.activation),
        output_bias=section.output.bias,
    )
    prepare_model(config, module)
    return module


def prepare_model(config: Config, module: nn.Module) -> None:
    """Initialises a module and freezes what the config names. `init: auto` leaves a user's own module as it is."""
    if not (isinstance(config.model, model_words.Custom) and isinstance(config.init, init_words.Auto)):
        assignments = plan_model(config, module)
        _check_values(config, assignments)
        try:
            initialize(assignments)
        except ValueError as error:
            raise problems_of(config, [(("init",), f"{config.init.name} can't fill this network: {error}.")]) from None
    if config.model.freeze:
        try:
            freeze(module, config.model.freeze)
        except UsageError as error:
            raise problems_of(config, [(("model", "freeze"), error.message)]) from None
    if not any(parameter.requires_grad for parameter in module.parameters()):
        message = (
            "every parameter is frozen: nothing is left to train." if config.model.freeze else "it has no parameters."
        )
        raise problems_of(config, [(("model", "freeze") if config.model.freeze else ("model",), message)])


def network_shape(config: Config) -> tuple[tuple[int, ...], int]:
    """One sample as the network gets it, and the number of outputs; data is read only where the words don't tell."""
    facts = config.data.facts()
    if None in (facts.task, facts.input_shape, facts.num_classes, facts.num_targets):
        facts = facts_of(config, build_dataset(config))
        check_facts(config, facts)
    resolved = resolve(config, facts)
    outputs = num_outputs(resolved.loss, facts)
    assert facts.input_shape is not None
    assert outputs is not None
    return after_preprocess(resolved, facts), outputs


def after_preprocess(config: Config, facts: Facts) -> tuple[int, ...]:
    """One sample as the network gets it: PCA flattens images and leaves as many numbers as components."""
    assert facts.input_shape is not None
    if config.preprocess.pca is None:
        return facts.input_shape
    steps = facts.input_shape[:1] if facts.layout == "sequence" else ()
    return (*steps, config.preprocess.pca.n_components)


def _hidden_layers(section: model_words.Linear | model_words.Mlp) -> list[HiddenLayer]:
    """The hidden layers of either form; what a layer leaves out is taken from the model."""
    if isinstance(section, model_words.Linear):
        return []
    if section.layers is not None:
        layers = section.layers
    else:
        layers = tuple(model_words.Layer(units=units) for units in section.hidden or ())
    return [
        HiddenLayer(
            layer.units,
            activation=build_activation(layer.activation or section.activation),
            bias=section.bias if layer.bias is None else layer.bias,
            batch_norm=section.batch_norm if layer.batch_norm is None else layer.batch_norm,
            dropout=section.dropout if layer.dropout is None else layer.dropout,
        )
        for layer in layers
    ]


def plan_model(config: Config, module: nn.Module) -> list[Assignment]:
    """Which rule each parameter of a module starts by."""
    by_layer = {name: build_rule(init) for name, (_, init) in _layer_inits(config).items()}
    return plan(module, build_rule(config.init), by_layer)


def build_rule(section: Section) -> Rule:
    """The rule that an initializer's words mean; a number for the biases is a constant."""
    bias = getattr(section, "bias", None)
    if isinstance(bias, Section):
        bias = build_rule(bias)
    elif bias is not None:
        bias = Rule("constant", {"val": float(bias)})
    return Rule(section.name, fields_of(section, "bias"), bias)  # type: ignore[attr-defined]


def _layer_inits(config: Config) -> dict[str, tuple[Path, Section]]:
    """The layers with an initializer of their own, by their name in the module, and where the config has it."""
    section = config.model
    found: dict[str, tuple[Path, Section]] = {}
    if isinstance(section, model_words.Mlp):
        for index, layer in enumerate(section.layers or ()):
            if layer.init is not None:
                found[f"hidden.{index}"] = (("model", "layers", index, "init"), layer.init)
    if isinstance(section, model_words.Linear | model_words.Mlp) and section.output.init is not None:
        found["output"] = (("model", "output", "init"), section.output.init)
    return found


def _check_values(config: Config, assignments: list[Assignment]) -> None:
    """Numbers written out must have the shape of their parameter."""
    paths = {name: path for name, (path, _) in _layer_inits(config).items()}
    problems = []
    for assignment in assignments:
        if assignment.rule.name != "values":
            continue
        got = tuple(torch.tensor(assignment.rule.fields["values"]).shape)
        expected = tuple(assignment.parameter.shape)
        if got != expected:
            path = next((path for name, path in paths.items() if assignment.name.startswith(f"{name}.")), ("init",))
            key: Path = (*path, "bias", "values") if len(expected) == 1 else (*path, "values")
            problems.append((key, f"{assignment.name} has the shape {expected}, got {got}. One row a unit."))
    if problems:
        raise problems_of(config, problems)


def build_loss(config: Config, dataset: Dataset) -> nn.Module:
    """The loss of a resolved config: of outputs and encoded targets."""
    section = config.loss
    reads = output_scale(config)
    if isinstance(section, loss_words.CrossEntropy):
        return CrossEntropyLoss(
            reads=reads,
            reduction=section.reduction,
            label_smoothing=section.label_smoothing,
            class_weights=_class_weights(section, dataset),
        )
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


def _class_weights(section: loss_words.CrossEntropy, dataset: Dataset) -> Tensor | None:
    if section.class_weights is None:
        return None
    if section.class_weights != "balanced":
        return torch.tensor(section.class_weights)
    counts = dataset.train.class_indices().bincount(minlength=len(dataset.classes))
    return len(dataset.train) / (len(counts) * counts.clamp_min(1).float())


def build_decoder(config: Config, dataset: Dataset, preprocess: Preprocess) -> Decoder:
    """What turns outputs into answers."""
    return Decoder(dataset.task, output_scale(config), len(dataset.classes), preprocess)


def build_optimizer(config: Config, module: nn.Module) -> torch.optim.Optimizer:
    """The optimizer over the parameters that are trained."""
    section: optimizer_words.OptimizerSection = config.optimizer
    return optimizer_of(section.name, module.parameters(), **fields_of(section))


def build_schedule(config: Config, optimizer: torch.optim.Optimizer, steps_per_epoch: int) -> Schedule:
    """The learning rate's way over the run."""
    section = config.scheduler
    fields = fields_of(section, "warmup_epochs", "interval")
    if isinstance(section, scheduler_words.CosineLr) and section.T_max is None:
        length = config.train.epochs - section.warmup_epochs
        fields["T_max"] = length if section.interval == "epoch" else length * steps_per_epoch
    if isinstance(section, scheduler_words.Plateau):
        fields["mode"] = config.train.mode
    return Schedule(
        optimizer,
        section.name,
        interval=section.interval,
        warmup_steps=section.warmup_epochs * steps_per_epoch,
        **fields,
    )


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


def choose_device(name: str) -> torch.device:
    """The device of `train.device`; auto takes CUDA where there is one, else the CPU.

    Raises:
        UsageError: It is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        there = f"{torch.cuda.device_count()} CUDA devices" if torch.cuda.is_available() else "no CUDA device"
        raise UsageError(f"'{name}' was asked for, and torch sees {there}. Use auto or cpu.", where="train.device")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("'mps' was asked for, and torch has no MPS here. Use auto or cpu.", where="train.device")
    return device
