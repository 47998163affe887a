"""Writes YAML that has the same values in YAML 1.2 and 1.1."""

from __future__ import annotations

import yaml

from nnzoo.config.base import dump
from nnzoo.config.experiment import Config
from nnzoo.config.scheduler import Scheduler
from nnzoo.config.yaml_reader import PATTERNS


class _Dumper(yaml.SafeDumper):
    """SafeDumper that writes numbers of YAML 1.2 without a tag, and quotes text that looks like a number."""


for _tag, _pattern in PATTERNS.items():
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, None)


def _represent_float(dumper: yaml.SafeDumper, value: float) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:float", repr(value))


_Dumper.add_representer(float, _represent_float)


def to_yaml(config: Config) -> str:
    """Returns the config as YAML with every key, and the resolved lengths of the schedule in a comment."""
    text = yaml.dump(
        dump(config), Dumper=_Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=120
    )
    comment = _schedule_comment(config)
    return text.replace("\nscheduler:", f"\n{comment}\nscheduler:", 1) if comment else text


def _schedule_comment(config: Config) -> str:
    """Returns a comment with the resolved values of the null fields of the scheduler; empty if there are none."""
    section: Scheduler = config.scheduler
    num_epochs = config.train.epochs - section.warmup_epochs
    lengths = section.lengths(num_epochs)
    if not lengths:
        return ""
    if section.interval == "step":
        return f"# {', '.join(lengths)}: from the number of steps in {num_epochs} epochs"
    return f"# {', '.join(f'{key}: {flow(value)}' for key, value in lengths.items())} (from {num_epochs} epochs)"


def flow(value: object) -> str:
    """Returns a value as YAML on one line."""
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=10_000, sort_keys=False)
    return text.strip().removesuffix("...").strip()
