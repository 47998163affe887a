"""Values as YAML that is read as the same values, by YAML 1.2 and 1.1 alike."""

from __future__ import annotations

import yaml

from nnzoo.config.base import dump
from nnzoo.config.experiment import Config
from nnzoo.config.reader import PATTERNS


class _Dumper(yaml.SafeDumper):
    """SafeDumper that also knows the numbers of YAML 1.2: no tag for them, quotes for a text that looks like one."""


for _tag, _pattern in PATTERNS.items():
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, None)


def _represent_float(dumper: yaml.SafeDumper, value: float) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:float", repr(value))


_Dumper.add_representer(float, _represent_float)


def to_yaml(config: Config) -> str:
    """The config as a file with every key written out."""
    return yaml.dump(
        dump(config), Dumper=_Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=120
    )


def flow(value: object) -> str:
    """A value as it would be written on one line."""
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=10_000, sort_keys=False)
    return text.strip().removesuffix("...").strip()
