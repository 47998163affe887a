"""Every config, command and piece of Python in the README and in the pages of the documentation runs."""

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

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if not {"reference", "_build"} & set(path.parts))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
SOURCES = re.findall(r"^\|[^|]*\| `(\{name: [^`]*\})` \| `([^`]*)` \|", README, flags=re.MULTILINE)
SHOWN_ONLY = ("./scripts/", ".venv/bin/pip ", "torchrun ")
"""Commands that install something, measure for hours, or start processes: tests of their own run them."""


@pytest.fixture
def sample_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Changes to a folder with one small data set of each kind."""
    monkeypatch.chdir(tmp_path)
    write_sample_files()
    return tmp_path


def blocks(text: str, language: str) -> list[str]:
    return [body for each, body in BLOCK.findall(text) if each == language]


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.stem)
def test_every_config_is_valid(page: Path) -> None:
    for text in blocks(page.read_text(encoding="utf-8"), "yaml"):
        assert load_config(parse(text, page.name).plain()).name == "run"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_runs(page: Path, sample_files: Path) -> None:
    """In the order of the page, in a folder with its configs: those whose first line is a comment with their name."""
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
def test_every_piece_of_python_runs(page: Path, sample_files: Path) -> None:
    names: dict[str, object] = {}
    for code in blocks(page.read_text(encoding="utf-8"), "python"):
        exec(compile(code, page.name, "exec"), names)


@pytest.mark.parametrize(("data", "model"), SOURCES)
def test_every_source_of_the_readme_goes_with_its_model(data: str, model: str) -> None:
    assert load_config(parse(f"data: {data}\nmodel: {model}\n", "README.md").plain()).name == "run"


def test_every_kind_of_file_is_among_the_sources_of_the_readme() -> None:
    shown = {parse(data, "README.md").plain()["name"] for data, _ in SOURCES}
    files = {name for name, section in listed(UNIONS["data"]).items() if issubclass(section, Files)}
    assert shown == files


def test_the_first_config_of_the_readme_is_the_file_it_names() -> None:
    shown = shipped_configs()["digits_mlp"].read_text(encoding="utf-8").split("\n", 1)[1]
    assert blocks(README, "yaml")[0] == shown


def test_the_readme_is_short() -> None:
    assert len(README.split()) <= 900


def test_every_shipped_config_has_its_row_among_the_results() -> None:
    results = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", results, flags=re.MULTILINE) == list(shipped_configs())


def test_every_link_to_a_file_leads_to_one() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists() or target.startswith("reference/"), f"{page}: {target}"
