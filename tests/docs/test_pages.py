"""Runs every config, command and Python block in the README and the documentation."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from sample_files import write_sample_files

from nnzoo.cli.app import run
from nnzoo.config import load_config
from nnzoo.config.base import listed
from nnzoo.config.data import Files
from nnzoo.config.describe import UNIONS
from nnzoo.config.shipped import shipped_configs
from nnzoo.config.yaml_reader import parse
from nnzoo.recipes.results import read_results

pytestmark = pytest.mark.page

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if not {"reference", "_build"} & set(path.parts))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
SOURCES = re.findall(r"^\|[^|]*\| `(\{name: [^`]*\})` \| `([^`]*)` \|", README, flags=re.MULTILINE)
SHOWN_ONLY = ("./scripts/", ".venv/bin/pip ", "torchrun ")
"""Commands that install packages, run for hours or start processes; other tests cover them."""


@pytest.fixture
def sample_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Changes to a folder with one small data set per kind."""
    monkeypatch.chdir(tmp_path)
    write_sample_files()
    return tmp_path


def blocks(text: str, language: str) -> list[str]:
    return [body for each, body in BLOCK.findall(text) if each == language]


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.stem)
def test_every_config_is_valid(page: Path) -> None:
    for text in blocks(page.read_text(encoding="utf-8"), "yaml"):
        content = parse(text, page.name).plain()
        if "space" not in content:  # a sweep file, which a command of the page runs
            assert load_config(content).name == "run"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_runs(page: Path, sample_files: Path) -> None:
    """Commands run in order, in a folder with the configs of the page whose first line is a comment with a name."""
    text = page.read_text(encoding="utf-8")
    for config in blocks(text, "yaml"):
        if named := re.match(r"# (\S+\.yaml)\n", config):
            (sample_files / named[1]).write_text(config, encoding="utf-8")
    for line in "".join(blocks(text, "sh")).splitlines():
        if line.startswith(SHOWN_ONLY):
            continue
        command, *arguments = shlex.split(line, comments=True)
        assert command == "nnzoo", line
        assert run(arguments) == 0, line


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_python_block_runs(page: Path, sample_files: Path) -> None:
    names: dict[str, object] = {}
    for code in blocks(page.read_text(encoding="utf-8"), "python"):
        exec(compile(code, page.name, "exec"), names)


@pytest.mark.parametrize(("data", "model"), SOURCES)
def test_every_source_in_the_readme_is_valid_with_its_model(data: str, model: str) -> None:
    assert load_config(parse(f"data: {data}\nmodel: {model}\n", "README.md").plain()).name == "run"


def test_the_readme_lists_every_source_of_files() -> None:
    shown = {parse(data, "README.md").plain()["name"] for data, _ in SOURCES}
    files = {name for name, section in listed(UNIONS["data"]).items() if issubclass(section, Files)}
    assert shown == files


def test_the_first_config_of_the_readme_equals_the_shipped_file() -> None:
    shown = shipped_configs()["digits_mlp"].read_text(encoding="utf-8").split("\n", 1)[1]
    assert blocks(README, "yaml")[0] == shown


def test_the_readme_is_short() -> None:
    assert len(README.split()) < 900


def test_every_measured_config_has_a_row_in_the_results() -> None:
    results = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", results, flags=re.MULTILINE) == list(read_results())


def test_every_link_to_a_file_exists() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists() or target.startswith("reference/"), f"{page}: {target}"
