"""Every shipped config trains and reaches the score in its header."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import nnzoo
from nnzoo.config import load_config
from nnzoo.config.data import TorchvisionSet
from nnzoo.config.shipped import shipped_configs

REAL = os.environ.get("NNZOO_TEST_DATA", "")
"""A folder with one subfolder per downloaded data set."""
DOWNLOADED = {name for name in shipped_configs() if isinstance(load_config(name).data, TorchvisionSet)}
HEADER = re.compile(
    r"(?P<split>Test|Train) (?P<metric>\w+) [\d.]+ \((?P<low>[\d.]+) to (?P<high>[\d.]+), seeds 0 to 4\), "
    r"baseline (?P<baseline>\d+\.\d+)"
)
# Other machines round differently, so a few test samples, or a small error relative to the baseline, may differ.
SLACK = 0.03


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in shipped_configs() if name not in DOWNLOADED])
def test_a_config_reaches_the_score_in_its_header(name: str, tmp_path: Path) -> None:
    header = shipped_configs()[name].read_text().split("\n")[0]
    claim = HEADER.search(header)
    assert claim, header
    run = nnzoo.train(name, runs_dir=tmp_path, quiet=True)
    reached = run.metrics[f"{claim['split'].lower()}/{claim['metric']}"]
    low, high, baseline = (float(claim[key]) for key in ("low", "high", "baseline"))
    slack = SLACK * max(high, baseline)
    assert low - slack <= reached <= high + slack


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not REAL, reason="NNZOO_TEST_DATA names no folder")
@pytest.mark.parametrize("name", sorted(DOWNLOADED))
def test_a_config_of_downloaded_data_is_near_its_score_early(name: str, tmp_path: Path) -> None:
    """Full training takes minutes, so a third of an epoch must come within 10 points of the final score."""
    header = shipped_configs()[name].read_text().split("\n")[0]
    claim = re.search(r"Test accuracy ([\d.]+) \(seed 0\)", header)
    assert claim, header
    root = Path(REAL) / load_config(name).data.name
    changes = {"data.root": str(root), "data.download": False, "data.limit": 20_000, "train.epochs": 1}
    run = nnzoo.train(name, overrides=changes, runs_dir=tmp_path, quiet=True)
    assert run.metrics["test/accuracy"] >= float(claim[1]) - 0.1


def test_digits_stop_early_above_97_percent(tmp_path: Path) -> None:
    run = nnzoo.train("digits_mlp", runs_dir=tmp_path, quiet=True)
    assert run.result["status"] == "early_stopped"
    assert run.metrics["test/accuracy"] >= 0.97
