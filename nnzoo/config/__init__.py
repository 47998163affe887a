"""The config schema: typed sections, read from YAML, checked across sections, immutable. It never imports torch."""

from nnzoo.config.base import dump
from nnzoo.config.choices import num_outputs
from nnzoo.config.experiment import Config
from nnzoo.config.facts import Facts
from nnzoo.config.load import ConfigLike, check_facts, config_path, load_config
from nnzoo.config.resolve import resolve
from nnzoo.config.yaml_writer import to_yaml

__all__ = [
    "Config",
    "ConfigLike",
    "Facts",
    "check_facts",
    "config_path",
    "dump",
    "load_config",
    "num_outputs",
    "resolve",
    "to_yaml",
]
