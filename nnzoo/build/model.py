"""Networks: from their section to an initialised nn.Module."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import nn

from nnzoo.build.data import build_dataset, facts_of
from nnzoo.config import Config, Facts, check_facts, num_outputs, resolve
from nnzoo.config import activation as activations
from nnzoo.config import init as init_words
from nnzoo.config import model as model_words
from nnzoo.config.base import Section, fields_of
from nnzoo.config.document import Path
from nnzoo.config.load import problems_of
from nnzoo.errors import UsageError
from nnzoo.models import MLP, HiddenLayer, Rule, freeze, initialize, plan
from nnzoo.models.initializers import Assignment

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
