"""Every shipped config trains, and reaches what its header says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import nnzoo
from nnzoo.config.shipped import shipped_configs

HEADER = re.compile(
    r"(?P<split>Test|Train) (?P<metric>\w+) [\d.]+ \((?P<low>[\d.]+) to (?P<high>[\d.]+), seeds 0 to 4\), "
    r"baseline (?P<baseline>\d+\.\d+)"
)
# Other machines round differently: a few test samples more or less are no other result, nor is another small error
# where the baseline's is large.
SLACK = 0.03


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped_configs())
def test_a_config_reaches_what_its_header_says(name: str, tmp_path: Path) -> None:
    header = shipped_configs()[name].read_text().split("\n")[0]
    claim = HEADER.search(header)
    assert claim, header
    run = nnzoo.train(name, runs_dir=tmp_path, quiet=True)
    reached = run.metrics[f"{claim['split'].lower()}/{claim['metric']}"]
    low, high, baseline = (float(claim[key]) for key in ("low", "high", "baseline"))
    slack = SLACK * max(high, baseline)
    assert low - slack <= reached <= high + slack


def test_digits_stop_early_above_97_percent(tmp_path: Path) -> None:
    run = nnzoo.train("digits_mlp", runs_dir=tmp_path, quiet=True)
    assert run.result["status"] == "early_stopped"
    assert run.metrics["test/accuracy"] >= 0.97
