"""Changes of a config that may fix an illness, as overrides. Whether they are valid and help is checked elsewhere."""

from __future__ import annotations

import json
import math
from typing import Any

from nnzoo.config import Config, model, scheduler
from nnzoo.config.base import dump
from nnzoo.config.loss import WeightedLoss
from nnzoo.config.model.recurrent import Gru, Lstm, Recursive, Rnn, TreeLstm

Overrides = tuple[str, ...]
WIDE = 64
"""Units of the hidden layers of a network that is large enough for small data."""


def override(key: str, value: Any) -> str:
    """Returns an override, as on the command line."""
    if isinstance(value, float):
        return f"{key}={value:g}"
    return f"{key}={value if isinstance(value, str) else json.dumps(value)}"


def round_rate(rate: float) -> float:
    """Rounds a learning rate to one digit."""
    return float(f"{rate:.0e}")


def with_rate(config: Config, rate: float) -> Overrides:
    """Changes the learning rate, and the rates of the scheduler in proportion."""
    rate = round_rate(rate)
    changes = [override("optimizer.lr", rate)]
    factor = rate / config.optimizer.lr if config.optimizer.lr else 1.0
    backbone_lr = getattr(config.optimizer, "backbone_lr", None)
    if backbone_lr is not None:
        changes.append(override("optimizer.backbone_lr", backbone_lr * factor))
    for name in ("max_lr", "base_lr", "eta_min", "min_lr"):
        value = getattr(config.scheduler, name, None)
        if value:
            changes.append(override(f"scheduler.{name}", value * factor))
    return tuple(changes)


def with_epochs(config: Config, epochs: int, *, patience: int | None = None) -> Overrides:
    """Trains longer; with `patience`, early stopping waits that many epochs."""
    changes = [override("train.epochs", max(epochs, config.train.epochs))] if epochs > config.train.epochs else []
    stopping = config.train.early_stopping
    if stopping is not None and patience is not None and stopping.patience < patience:
        changes.append(override("train.early_stopping.patience", patience))
    if stopping is not None and stopping.min_delta:
        changes.append("train.early_stopping.min_delta=0")
    if config.train.max_minutes:
        changes.append("train.max_minutes=null")
    return tuple(changes)


def constant_rate(config: Config) -> Overrides:
    """Keeps the learning rate constant."""
    return () if isinstance(config.scheduler, scheduler.ConstantLr) else ("scheduler=constant",)


def without_dropout(config: Config) -> Overrides:
    """Removes all dropout of the network."""
    return _everywhere(config, "dropout", 0.0, inner=lambda value: 0.0 if value else value)


def largest_dropout(config: Config) -> float:
    """Returns the largest probability of dropout of the network."""
    return max((value for key, value in _values(dump(config.model)) if key == "dropout" and value), default=0.0)


def without_decay(config: Config) -> Overrides:
    """Removes weight decay and penalties."""
    changes = []
    if getattr(config.optimizer, "weight_decay", 0):
        changes.append("optimizer.weight_decay=0")
    changes += [f"regularization.{name}=0" for name in ("l1", "l2") if getattr(config.regularization, name)]
    return tuple(changes)


def with_activation(config: Config, name: str) -> Overrides:
    """Gives all hidden layers an activation."""
    section = config.model
    if isinstance(section, Rnn):
        return ("model.nonlinearity=tanh",) if name == "tanh" else ("model.name=gru",)
    if not hasattr(section, "activation"):
        return ()
    return _everywhere(config, "activation", name, inner=lambda _: None)


def with_init(config: Config) -> Overrides:
    """Draws all weights by the default initializer."""
    section = dump(config.model)
    changes = ["init=auto"] if config.init.name != "auto" else []
    changes += ["init.bias=0"] if getattr(config.init, "bias", 0) != 0 else []
    for key in ("layers", "blocks", "output"):
        value = section.get(key) if isinstance(section, dict) else None
        if value and any(name == "init" and each for name, each in _values(value)):
            changes.append(override(f"model.{key}", _replaced(value, "init", lambda _: None)))
    return tuple(changes)


def without_output_activation(config: Config) -> Overrides:
    """Removes the activation of the last layer."""
    output = model.output_of(config.model)
    return () if output is None or output.activation.name == "identity" else ("model.output.activation=identity",)


def larger(config: Config) -> list[Overrides]:
    """Returns changes that make a network larger: wider, and then also deeper."""
    section = config.model
    match section:
        case model.Perceptron():
            return [("model=mlp", "loss=auto", "optimizer=adamw", "train.early_stopping.patience=20")]
        case model.Linear():
            return [("model=mlp", "model.hidden=[64, 64]")]
        case model.Mlp():
            if section.layers:
                layers = [{**each, "units": max(WIDE, 4 * each["units"])} for each in dump(section)["layers"]]
                return [(override("model.layers", layers),)]
            widths = section.hidden or ()
            wide, depth = max(WIDE, 4 * max(widths, default=0)), max(1, len(widths))
            depths = (depth, 2) if depth == 1 else (depth,)
            return [(override("model.hidden", [wide] * each),) for each in depths]
        case model.Cnn():
            dumped = dump(section)
            blocks = _replaced(dumped["blocks"], "out_channels", lambda count: max(16, 4 * count))
            head = [max(WIDE, 4 * units) if isinstance(units, int) else units for units in dumped.get("head") or []]
            return [(override("model.blocks", blocks), *([override("model.head", head)] if head else []))]
        case Rnn() | Lstm() | Gru() | Recursive() | TreeLstm():
            return [(override("model.hidden_size", max(32, 4 * section.hidden_size)),)]
    return []


def usual_optimizer(config: Config) -> Overrides:
    """Uses an optimizer that trains most small networks."""
    if config.optimizer.name in ("adam", "adamw"):
        return (override("optimizer.lr", 0.01),)
    return ("optimizer=adam", "optimizer.lr=0.01")


def narrowest(config: Config) -> int | None:
    """Returns the number of units of the narrowest hidden layer; None if it is not known."""
    section = config.model
    match section:
        case model.Mlp():
            widths = [each.units for each in section.layers] if section.layers else list(section.hidden or ())
            return min(widths, default=None)
        case model.Cnn():
            channels = [int(value) for key, value in _values(dump(section)["blocks"]) if key == "out_channels"]
            return min(channels, default=None)
        case Rnn() | Lstm() | Gru() | Recursive() | TreeLstm():
            return int(section.hidden_size)
    return None


def regularized(config: Config) -> list[Overrides]:
    """Returns changes that may reduce overfitting, the mildest first."""
    found: list[Overrides] = []
    stopping = () if config.train.early_stopping is not None else ("train.early_stopping.patience=5",)
    section = config.model
    found += [
        (*_everywhere(config, "dropout", rate, inner=lambda value: value), *stopping)
        for rate in (0.3, 0.5)
        if hasattr(section, "dropout") and largest_dropout(config) < rate
    ]
    if isinstance(section, model.Mlp) and section.hidden:
        small = [min(16, units) for units in section.hidden[:1]]
        found.append((override("model.hidden", small), *stopping))
    if config.regularization.l2 < 0.01 and config.optimizer.name != "lbfgs":
        found.append(("regularization.l2=0.01", *stopping))
    if stopping:
        found.append(stopping)
    return found


def as_linear(config: Config) -> Overrides:
    """Replaces the network by a linear model."""
    is_linear = isinstance(config.model, model.Linear | model.Perceptron | model.Custom)
    return () if is_linear else ("model=linear",)


def balanced(config: Config) -> Overrides:
    """Weights the classes by their frequency."""
    loss = config.loss
    if isinstance(loss, WeightedLoss) and loss.class_weights is None:
        return (f"loss.name={loss.name}", "loss.class_weights=balanced")  # the config may say `loss: auto`
    return ()


def unfrozen(config: Config) -> Overrides:
    """Trains all weights."""
    changes = ["model.freeze=[]"] if config.model.freeze else []
    return (*changes, *(["model.freeze_epochs=null"] if config.model.freeze_epochs is not None else []))


def _everywhere(config: Config, key: str, value: Any, *, inner: Any) -> Overrides:
    """Sets a field of the model, and changes it in the layers that have their own."""
    section = dump(config.model)
    if not isinstance(section, dict):
        section = {"name": section}
    changes = [override(f"model.{key}", value)] if key in type(config.model).model_fields else []
    changes += [
        override(f"model.{part}", _replaced(section[part], key, inner))
        for part in ("layers", "blocks")
        if section.get(part) and any(name == key and each not in (None, 0.0) for name, each in _values(section[part]))
    ]
    return tuple(changes)


def _values(value: Any) -> list[tuple[str, Any]]:
    """Returns the keys and values of nested mappings."""
    if isinstance(value, dict):
        return [pair for key, each in value.items() for pair in ((key, each), *_values(each))]
    return [pair for each in value for pair in _values(each)] if isinstance(value, list) else []


def _replaced(value: Any, key: str, change: Any) -> Any:
    """Returns nested mappings in which the values of a key are changed; None removes the key."""
    if isinstance(value, list):
        return [_replaced(each, key, change) for each in value]
    if not isinstance(value, dict):
        return value
    changed = {name: change(each) if name == key else _replaced(each, key, change) for name, each in value.items()}
    return {name: each for name, each in changed.items() if not (name == key and each is None)}


def epochs_for(factor: float, epochs: int) -> int:
    """Returns a round number of epochs that is about `factor` times the given one."""
    wanted = max(factor * epochs, 1)
    power = 10 ** math.floor(math.log10(wanted))
    return int(next(each * power for each in (1, 2, 3, 5, 10) if each * power >= wanted))
