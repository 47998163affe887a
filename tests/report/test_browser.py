"""The page of a run in a browser: its script, its links, and hostile names. Skipped where there is no Chromium."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from accessibility import problems_of
from PIL import Image

import nnzoo

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --window-size=500,900 --dump-dom"
)
HOSTILE = ["</script><script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "x" * 10_000, "\u202eעברית"]

pytestmark = [pytest.mark.page, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")]

ERRORS = (
    "<script>window.errors = []; window.onerror = function (text) { errors.push(text); };"
    "window.alert = window.onerror;</script>"
)
PROBE = """<script>
var svg = document.querySelector("svg.frame"), read = svg.closest("figure").querySelector(".read"), found = {};
function press(key) { svg.dispatchEvent(new KeyboardEvent("keydown", { key: key })); }
press("End"); found.last = read.textContent;
press("Home"); press("ArrowRight"); found.second = read.textContent;
press("+"); found.zoomed = svg.querySelector(".plot").getAttribute("viewBox");
press("Escape"); found.reset = svg.querySelector(".plot").getAttribute("viewBox");
var link = document.querySelector("a[href^='#classes-']"); location.hash = link.getAttribute("href");
found.opened = getComputedStyle(document.querySelector(".opened:target")).display;
found.closed = getComputedStyle(document.querySelector(".opened:not(:target)")).display;
found.requests = performance.getEntriesByType("resource").length;
found.overflow = document.documentElement.scrollWidth - window.innerWidth;
found.errors = errors;
document.title = JSON.stringify(found);
</script>"""


FIGURES = """<script>
var found = { rows: {}, sections: [] };
document.querySelectorAll("section").forEach(function (section) { found.sections.push(section.id); });
document.querySelectorAll("#result tr").forEach(function (row) {
  var name = row.querySelector("th").textContent;
  var numbers = Array.from(row.querySelectorAll("data"), function (each) { return Number(each.value); });
  found.rows[name] = found.rows[name] || numbers;
});
found.requests = performance.getEntriesByType("resource").length;
found.overflow = document.documentElement.scrollWidth - window.innerWidth;
found.errors = errors;
document.title = JSON.stringify(found);
</script>"""


def probe(report: Path, tmp_path: Path, script: str = PROBE) -> dict[str, Any]:
    """Opens a page, runs a script that uses it, and returns what the script found."""
    assert CHROMIUM is not None
    html = (
        report.read_text().replace("<meta charset", f"{ERRORS}<meta charset", 1).replace("</body>", f"{script}</body>")
    )
    page = tmp_path / "page.html"
    page.write_text(html)
    command = [CHROMIUM, *ARGUMENTS.split(), f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert problems_of(shown) == []
    title = re.search(r"<title>(.*?)</title>", shown, re.DOTALL)
    assert title is not None
    found: dict[str, Any] = json.loads(unescape(title[1]))
    return found


def test_the_page_is_used_by_keyboard(tmp_path: Path) -> None:
    run = nnzoo.train("digits_mlp", overrides={"train.epochs": 3}, runs_dir=tmp_path, quiet=True)
    found = probe(run.run_dir / "report.html", tmp_path)
    losses, val_losses = run.history["train/loss"], run.history["val/loss"]
    assert found["last"] == f"epoch 3, train/loss {losses[2]:.4g}, val/loss {val_losses[2]:.4g}"
    assert found["second"] == f"epoch 2, train/loss {losses[1]:.4g}, val/loss {val_losses[1]:.4g}"
    assert found["zoomed"] == "250 0 500 1000"
    assert found["reset"] == "0 0 1000 1000"
    assert (found["opened"], found["closed"]) == ("block", "none")
    assert (found["requests"], found["errors"]) == (0, [])
    assert found["overflow"] <= 0


def test_hostile_names_do_nothing(tmp_path: Path) -> None:
    choose = random.Random(0)
    rows = [[str(i % 7), choose.choice(HOSTILE[:3]), HOSTILE[i % 4]] for i in range(120)]
    quoted = ["<script>alert(3)</script>", "\"quoted'", "label"]
    lines = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in [quoted, *rows]]
    file = tmp_path / "a <img src=x onerror=alert(2)>.csv"
    file.write_text("\n".join(lines), encoding="utf-8")
    config = {"data": {"name": "csv", "path": str(file), "target": "label"}, "model": "linear", "train": {"epochs": 2}}
    run = nnzoo.train(config, runs_dir=tmp_path / "runs", quiet=True)
    report = run.run_dir / "report.html"
    assert report.stat().st_size < 300_000
    found = probe(report, tmp_path)
    assert found["errors"] == []
    assert found["requests"] == 0
    assert found["overflow"] <= 0


@pytest.mark.slow
def test_large_runs_stay_within_their_size(tmp_path: Path) -> None:
    numbers = random.Random(0)
    rows = [[f"{numbers.gauss(0, 1):.3f}" for _ in range(300)] + [f"class_{i % 200}"] for i in range(1000)]
    header = [*(f"column_{i}" for i in range(300)), "label"]
    (tmp_path / "wide.csv").write_text("\n".join(",".join(row) for row in [header, *rows]))
    config = {
        "data": {"name": "csv", "path": str(tmp_path / "wide.csv"), "target": "label"},
        "model": "linear",
        "train": {"epochs": 1000, "batch_size": "full", "early_stopping": None},
    }
    run = nnzoo.train(config, runs_dir=tmp_path, quiet=True)
    assert (run.run_dir / "report.html").stat().st_size < 1_500_000
    found = probe(run.run_dir / "report.html", tmp_path)
    assert (found["requests"], found["errors"]) == (0, [])
    assert found["last"].startswith("epoch 1000, ")
    assert found["overflow"] <= 0


def write_kinds(folder: Path) -> dict[str, dict[str, Any]]:
    """Writes a small data set of each kind, and returns a config for each."""
    numbers = random.Random(0)
    (folder / "text.csv").write_text(
        "\n".join(
            ["text,label", *(f"a {numbers.choice(['good', 'bad'])} film {i % 7},{'yn'[i % 2]}" for i in range(90))]
        )
    )
    (folder / "series.csv").write_text("\n".join(["value", *(f"{(i % 12) + i / 20:.2f}" for i in range(150))]))
    (folder / "text.txt").write_text("the cat sat on the mat. the dog ran. " * 40)
    (folder / "trees.txt").write_text("(3 (2 a) (4 (3 good) (2 film)))\n(1 (2 a) (0 bad))\n(2 (2 the) (2 film))\n" * 20)
    for name in ("dark", "light"):
        (folder / "images" / name).mkdir(parents=True)
        for i in range(20):
            pixels = bytes(numbers.randrange(128) + 127 * (name == "light") for _ in range(3 * 8 * 8))
            Image.frombytes("RGB", (8, 8), pixels).save(folder / "images" / name / f"{i}.png")
    mlp = {"name": "mlp", "hidden": [4]}
    return {
        "regions": {"data": "moons", "model": mlp, "shown": ["classes", "inside", "network"]},
        "curve": {"data": "sine", "model": mlp, "shown": ["values", "inside"]},
        "texts": {
            "data": {"name": "text", "path": "text.csv", "text": "text", "target": "label"},
            "model": {"name": "gru", "hidden_size": 4},
            "shown": ["classes"],
        },
        "series": {
            "data": {"name": "series", "path": "series.csv", "target": "value", "window": 6, "horizon": 2},
            "model": mlp,
            "shown": ["values"],
        },
        "language": {
            "data": {"name": "language", "path": "text.txt", "sequence_length": 12},
            "model": {"name": "lstm", "hidden_size": 4},
            "shown": ["classes", "steps", "language"],
        },
        "trees": {"data": {"name": "trees", "path": "trees.txt"}, "model": "recursive", "shown": ["classes", "trees"]},
        "images": {
            "data": {"name": "image_folder", "path": "images"},
            "model": "linear",
            "shown": ["classes", "inside"],
        },
        "restarts": {"data": "xor", "model": mlp, "restarts": 3, "shown": ["classes", "inside"]},
    }


@pytest.mark.slow
def test_each_kind_of_page_has_the_numbers_of_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, kind in write_kinds(tmp_path).items():
        train = {"epochs": 2, "restarts": kind.pop("restarts", 1)}
        shown = kind.pop("shown")
        run = nnzoo.train({**kind, "name": name, "train": train}, quiet=True)
        found = probe(run.run_dir / "report.html", tmp_path, FIGURES)
        assert (found["requests"], found["errors"]) == (0, []), name
        assert found["overflow"] <= 0, name
        assert {"result", "curves", "data", "repeat", *shown} <= set(found["sections"]), name
        split = "train" if name == "restarts" else "test"
        for key, value in run.metrics.items():
            part, _, metric = key.partition("/")
            assert value in found["rows"][part], (name, key)
            assert part != split or found["rows"][metric][0] == value, (name, key)
