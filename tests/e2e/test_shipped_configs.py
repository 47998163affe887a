"""Every shipped config trains and repeats its measured result."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import nnzoo
from nnzoo.config import load_config
from nnzoo.config.data import Files, TorchvisionSet
from nnzoo.config.shipped import shipped_configs, shipped_folder
from nnzoo.recipes.measure import data_of
from nnzoo.recipes.results import read_results
from nnzoo.recipes.verify import verify

REAL = os.environ.get("NNZOO_TEST_DATA", "")
"""A folder with one subfolder per data set that is not part of nnzoo."""
DOWNLOADED = [name for name in shipped_configs() if isinstance(load_config(name).data, TorchvisionSet)]
FILES = {name: section.path for name in shipped_configs() if isinstance(section := load_config(name).data, Files)}
AT_HAND = [name for name, path in FILES.items() if not Path(path).is_relative_to(shipped_folder().absolute())]
BUNDLED = [name for name in shipped_configs() if name not in (*DOWNLOADED, *AT_HAND)]
RESULTS = read_results()
QUICK = [name for name in BUNDLED if RESULTS[name].seconds < 10]
"""`nnzoo verify` repeats the results of the others."""


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_config_repeats_its_result(name: str) -> None:
    found = verify(name)
    assert found.repeats, (found.values, found.interval)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not REAL, reason="NNZOO_TEST_DATA names no folder")
@pytest.mark.parametrize("name", AT_HAND)
def test_a_config_was_measured_on_this_data(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training takes up to minutes, so only the data is compared. `nnzoo verify NAME` compares the result."""
    monkeypatch.setenv("NNZOO_DATA", REAL)
    assert data_of(name, download=False).digest == RESULTS[name].data_digest


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not REAL, reason="NNZOO_TEST_DATA names no folder")
@pytest.mark.parametrize("name", sorted(set(DOWNLOADED) & set(RESULTS)))
def test_a_config_of_downloaded_data_is_near_its_score_early(name: str, tmp_path: Path) -> None:
    """Full training takes minutes, so a third of an epoch must come within 10 points of the final score."""
    root = Path(REAL) / load_config(name).data.name
    changes = {"data.root": str(root), "data.download": False, "data.limit": 20_000, "train.epochs": 1}
    run = nnzoo.train(name, overrides=changes, runs_dir=tmp_path, quiet=True)
    assert run.metrics["test/accuracy"] >= RESULTS[name].mean - 0.1


def test_digits_stop_early_above_97_percent(tmp_path: Path) -> None:
    run = nnzoo.train("digits_mlp", runs_dir=tmp_path, quiet=True)
    assert run.result["status"] == "early_stopped"
    assert run.metrics["test/accuracy"] >= 0.97
