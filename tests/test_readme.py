"""The README shows what the program says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nnzoo.cli.app import run
from nnzoo.config import load_config
from nnzoo.config.base import listed
from nnzoo.config.data import Files
from nnzoo.config.describe import UNIONS
from nnzoo.config.reader import parse
from nnzoo.config.shipped import shipped_configs

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
CONFIGS = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
SOURCES = re.findall(r"^\|[^|]*\| `(\{name: [^`]*\})` \| `([^`]*)` \|", README, flags=re.MULTILINE)


def test_the_list_is_the_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list"]) == 0
    assert f"```\n{capsys.readouterr().out}```" in README


@pytest.mark.parametrize("text", CONFIGS)
def test_every_config_in_it_is_valid(text: str) -> None:
    assert load_config(parse(text, "README.md").plain()).name == "run"


@pytest.mark.parametrize(("data", "model"), SOURCES)
def test_every_source_in_it_goes_with_its_model(data: str, model: str) -> None:
    assert load_config(parse(f"data: {data}\nmodel: {model}\n", "README.md").plain()).name == "run"


def test_every_kind_of_file_is_among_the_sources() -> None:
    shown = {parse(data, "README.md").plain()["name"] for data, _ in SOURCES}
    files = {name for name, section in listed(UNIONS["data"]).items() if issubclass(section, Files)}
    assert shown == files


def test_the_first_config_is_the_file_it_names() -> None:
    shown = shipped_configs()["digits_mlp"].read_text(encoding="utf-8").split("\n", 1)[1]
    assert CONFIGS[0] == shown


def test_every_shipped_config_has_its_row() -> None:
    assert re.findall(r"^\| `(\w+)` \|", README, flags=re.MULTILINE) == list(shipped_configs())
