"""The README shows what the program says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nnzoo.cli.app import run
from nnzoo.config import load_config
from nnzoo.config.reader import parse
from nnzoo.config.shipped import shipped_configs

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
CONFIGS = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)


def test_the_list_is_the_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list"]) == 0
    assert f"```\n{capsys.readouterr().out}```" in README


@pytest.mark.parametrize("text", CONFIGS)
def test_every_config_in_it_is_valid(text: str) -> None:
    assert load_config(parse(text, "README.md").plain()).name == "run"


def test_the_first_config_is_the_file_it_names() -> None:
    shown = shipped_configs()["digits_mlp"].read_text(encoding="utf-8").split("\n", 1)[1]
    assert CONFIGS[0] == shown


def test_every_shipped_config_has_its_row() -> None:
    assert re.findall(r"^\| `(\w+)` \|", README, flags=re.MULTILINE) == list(shipped_configs())
