"""A config with the data that is made for it, and a planted case: one change of a config that trains well."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

DATA = "@"
"""In a config, the folder of the data of the plan."""

Measure = Literal["score", "balanced", "loss", "last loss", "inflated"]
"""How a case is measured.

score: Accuracy or rmse on test, as a share of the healthy twin's gain over the baseline.
balanced: The same with balanced accuracy, for rare classes.
loss: The loss of the best weights on val, for illnesses that change the loss more than the accuracy.
last loss: The loss of the last weights on val, for overfitting, since the best weights are kept.
inflated: The score is too good to be true, and the cure must bring it back to that of the twin.
"""


@dataclass(frozen=True)
class Plan:
    """A config, and the data that is made for it.

    Attributes:
        config: The config; `DATA` in a path is the folder of the data.
        data: The name of the function that makes the data (`make`) and its arguments; None for data of nnzoo.
    """

    config: dict[str, Any]
    data: dict[str, Any] | None = None

    @property
    def key(self) -> str:
        """A digest of the plan."""
        return digest([self.config, self.data])

    @property
    def model(self) -> dict[str, Any]:
        """The section of the model."""
        section = self.config["model"]
        return section if isinstance(section, dict) else {"name": section}

    @property
    def source(self) -> str:
        """The name of the data source."""
        section = self.config["data"]
        return str(section["name"] if isinstance(section, dict) else section)

    @property
    def activation(self) -> str:
        """The activation of the hidden layers; empty if the network has none."""
        return str(self.model.get("activation", "relu")) if self.model["name"] in {"mlp", "cnn"} else ""

    @property
    def depth(self) -> int:
        """The number of hidden layers of an mlp."""
        return len(self.model.get("hidden", ()))

    @property
    def is_regression(self) -> bool:
        """Whether the targets are numbers."""
        kind = (self.data or {}).get("kind")
        return self.source in {"sine", "adding", "diabetes", "series"} or kind == "regression"

    def located(self, folder: Path) -> dict[str, Any]:
        """Returns the config with the path of the data."""
        located: dict[str, Any] = _located(self.config, str(folder))
        return located

    def changed(self, changes: Mapping[str, Any], data: Mapping[str, Any] | None = None) -> Plan:
        """Returns the plan with other values of config keys ("optimizer.lr") and other arguments of the data."""
        config = copy.deepcopy(self.config)
        for path, value in changes.items():
            section = config
            *parents, last = path.split(".")
            for name in parents:
                if not isinstance(section.get(name), dict):
                    section[name] = {} if section.get(name) is None else {"name": section[name]}
                section = section[name]
            section[last] = value
        return replace(self, config=config, data=self.data if data is None else {**(self.data or {}), **data})


def _located(value: Any, folder: str) -> Any:
    if isinstance(value, dict):
        return {key: _located(each, folder) for key, each in value.items()}
    return folder + value[1:] if isinstance(value, str) and value.startswith(f"{DATA}/") else value


def digest(value: Any) -> str:
    """Returns a digest of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Case:
    """A planted illness.

    Attributes:
        illness: The topic that the doctor must name.
        change: The change that is the illness, in words.
        twin: The plan without it.
        ill: The plan with it.
        equal: Topics that are equally right, since their cure is right too.
        companions: Topics that are also there.
        measure: How the harm and the cure are measured.
        curable: Whether a change of the config can cure it.
        harm: The largest share of the twin's gain that an ill run may keep.
    """

    illness: str
    change: str
    twin: Plan
    ill: Plan
    equal: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()
    measure: Measure = "score"
    curable: bool = True
    harm: float = 0.8
