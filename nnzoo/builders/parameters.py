"""Initialises and freezes the parameters of a network."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from nnzoo.config import Config
from nnzoo.config import init as init_config
from nnzoo.config import model as model_config
from nnzoo.config.base import Section, fields_of
from nnzoo.config.document import Path
from nnzoo.config.load import problems_of
from nnzoo.errors import UsageError
from nnzoo.models import Rule, epochs_frozen, freeze, initialize, plan
from nnzoo.models.initializers import Assignment
from nnzoo.models.relative_forecast import RelativeForecast


def prepare_model(config: Config, module: nn.Module) -> None:
    """Initialises a module and freezes the parameters that the config names.

    `init: auto` does not change a custom module or a network of torchvision.
    """
    assignments = plan_model(config, module)
    _check_values(config, assignments)
    try:
        initialize(assignments)
    except ValueError as error:
        raise problems_of(
            config, [(("init",), f"{config.init.name} can't initialise this network: {error}.")]
        ) from None
    if config.model.frozen:
        try:
            freeze(module, config.model.frozen, config.model.frozen_epochs)
        except UsageError as error:
            raise problems_of(config, [(("model", "freeze"), error.message)]) from None
    if not any(parameter.requires_grad for parameter in module.parameters()):
        message = (
            "every parameter is frozen, so there is nothing to train."
            if config.model.frozen
            else "it has no parameters."
        )
        raise problems_of(config, [(("model", "freeze") if config.model.frozen else ("model",), message)])


def frozen_epochs(config: Config, module: nn.Module) -> dict[str, float]:
    """Returns the frozen parameters of a network by name, with the number of epochs for which each is frozen."""
    if isinstance(module, RelativeForecast):
        return {f"network.{name}": until for name, until in frozen_epochs(config, module.network).items()}
    return epochs_frozen(module, config.model.frozen, config.model.frozen_epochs)


def plan_model(config: Config, module: nn.Module) -> list[Assignment]:
    """Returns the initialisation rule of each parameter; parameters without a rule keep their values."""
    if isinstance(module, RelativeForecast):
        return [replace(each, name=f"network.{each.name}") for each in plan_model(config, module.network)]
    if isinstance(config.model, model_config.Custom | model_config.Torchvision) and isinstance(
        config.init, init_config.Auto
    ):
        return []
    by_layer = {name: build_rule(init) for name, (_, init) in _layer_inits(config).items()}
    return plan(module, build_rule(config.init), by_layer)


def build_rule(section: Section) -> Rule:
    """Builds the rule of an initializer section. A number for the biases is a constant value."""
    bias = getattr(section, "bias", None)
    if isinstance(bias, Section):
        bias = build_rule(bias)
    elif bias is not None:
        bias = Rule("constant", {"val": float(bias)})
    return Rule(section.name, fields_of(section, "bias"), bias)  # type: ignore[attr-defined]


def _layer_inits(config: Config) -> dict[str, tuple[Path, Section]]:
    """Returns the config path and section of each layer's own initializer, by the layer's name in the module."""
    section = config.model
    inits: dict[str, tuple[Path, Section]] = {}
    if isinstance(section, model_config.Mlp):
        for index, layer in enumerate(section.layers or ()):
            if layer.init is not None:
                inits[f"hidden.{index}"] = (("model", "layers", index, "init"), layer.init)
    if isinstance(section, model_config.Cnn):
        for index, block in enumerate(section.blocks):
            if block.conv is not None and block.conv.init is not None:
                inits[f"blocks.{index}"] = (("model", "blocks", index, "conv", "init"), block.conv.init)
    output = model_config.output_of(section)
    if output is not None and output.init is not None:
        inits["output"] = (("model", "output", "init"), output.init)
    return inits


def _check_values(config: Config, assignments: list[Assignment]) -> None:
    """Raises ConfigError if the values of `init: values` do not have the shape of their parameter."""
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
            order = "Write one row per unit." if len(expected) < 3 else "Write one block per filter."
            problems.append((key, f"{assignment.name} has the shape {expected}, got {got}. {order}"))
    if problems:
        raise problems_of(config, problems)
