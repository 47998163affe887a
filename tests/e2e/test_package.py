"""The wheel, built from the sdist and installed where the checkout can't be imported, does all that a user needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]
LARGEST = {".whl": 3, ".gz": 4}
"""Megabytes; CONTRIBUTING.md states the sizes."""
RUN_ALL = """
import json, sys
from nnzoo.cli.app import run

for arguments in json.loads(sys.argv[1]):
    if run(arguments):
        sys.exit(f"failed: {arguments}")
"""
"""Runs several commands in one process, so that torch is imported only once."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Returns an sdist, and the wheel that is built from its content alone."""
    folder = tmp_path_factory.mktemp("built")
    sdist = Path(next(SdistBuilder(str(ROOT)).build(directory=str(folder))))
    with tarfile.open(sdist) as archive:
        # Python before 3.11.4 has no filters.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        archive.extractall(folder)
    unpacked = folder / sdist.name.removesuffix(".tar.gz")
    return sdist, Path(next(WheelBuilder(str(unpacked)).build(directory=str(folder))))


@pytest.fixture(scope="module")
def installed(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns an environment with the wheel, and with the dependencies of this one.

    A path in a .pth file of the new environment does not read the .pth files of that path, so the editable install of
    the checkout stays invisible.
    """
    environment = tmp_path_factory.mktemp("environment") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--disable-pip-version-check", str(built[1])], check=True, env=clean_environment())
    [site] = (environment / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return environment / "bin"


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_", "NNZOO_"))}


def test_the_sizes_are_as_stated(built: tuple[Path, Path]) -> None:
    for path in built:
        assert path.stat().st_size < LARGEST[path.suffix] * 1e6


@pytest.mark.slow
def test_a_user_needs_only_the_wheel(installed: Path, tmp_path: Path) -> None:
    rows = [f"{index % 7},{index % 5},{'yes' if index % 7 > 3 else 'no'}" for index in range(80)]
    (tmp_path / "people.csv").write_text("\n".join(["age,size,sold", *rows]) + "\n", encoding="utf-8")

    def nnzoo(*arguments: str) -> str:
        command = [str(installed / "nnzoo"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=clean_environment())
        assert done.returncode == 0, done.stderr
        return done.stdout

    def result(*arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(nnzoo(*arguments, "--json"))
        return found

    place = [str(installed / "python"), "-c", "import nnzoo; print(nnzoo.__file__)"]
    found = subprocess.run(place, capture_output=True, text=True, check=True, cwd=tmp_path, env=clean_environment())
    assert Path(found.stdout.strip()).is_relative_to(installed.parent)

    assert "digits_mlp" in result("list", "configs")["names"]
    assert result("explain", "model.mlp.dropout")["matches"][0]["lessons"] == ["dropout"]
    assert "xor" in nnzoo("lesson")
    nnzoo("init", "people.csv", "--target", "sold")
    assert (tmp_path / "people.yaml").is_file()
    nnzoo("validate", "people.yaml")
    small = ["model={name: mlp, hidden: [4]}", "train.epochs=2", "train.baselines=false"]
    commands = [
        ["train", "people.yaml", *small],
        ["lr-find", "people.yaml", *small, "--max", "10", "--html", "rates.html"],
        ["sweep", "people.yaml", *small, "optimizer.lr=1e-3,1e-2"],
        ["export", "runs/people", "--format", "js"],
    ]
    run = [str(installed / "python"), "-c", RUN_ALL, json.dumps(commands)]
    done = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path, env=clean_environment())
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "runs/people/result.json").read_text(encoding="utf-8"))["epochs"] == 2
    for page in ("runs/people/report.html", "rates.html", "runs/people-sweep/sweep.html", "people.html"):
        text = (tmp_path / page).read_text(encoding="utf-8")
        assert "<script" in text, page
        assert "<style" in text, page


def test_the_image_gets_all_that_the_wheel_needs() -> None:
    """Docker is not needed for this: every copied file exists, is sent to docker, and nothing of the wheel is left."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = {source for line in lines if line.startswith("COPY ") for source in line.split()[1:-1]}
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert all((ROOT / name).exists() for name in copied)
    assert copied == sent
    assert copied == {"pyproject.toml", project["project"]["readme"], "LICENSE", *wheel["only-include"]}
    [index] = [line for line in lines if line.startswith("RUN pip") and "download.pytorch.org/whl/cpu" in line]
    for name in ("torch", "torchvision"):
        [needed] = [each for each in project["project"]["dependencies"] if each.startswith(f"{name}>")]
        assert f'"{needed}"' in index
