"""The controls of the page in a browser: a person draws and edits, and reads the answers. Skipped without Chromium."""

from __future__ import annotations

import csv
import json
import random
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

import nnzoo

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --window-size=500,900 --virtual-time-budget=20000 --dump-dom"
)
ERRORS = "<script>window.errors = []; window.onerror = window.alert = function (text) { errors.push(text); };</script>"

pytestmark = [pytest.mark.page, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")]

DRIVER = """<script>
var live = document.querySelector(".live"), found = {};
function answer() { return live.querySelector(".live-answer").textContent; }
function wait() { return new Promise(function (done) { setTimeout(done, 60); }); }
function use(control, value) {
  control.value = value;
  control.dispatchEvent(new Event(control.tagName === "SELECT" ? "change" : "input", { bubbles: true }));
  return wait();
}
function control(name) {
  var label = Array.from(live.querySelectorAll("label")).find(function (each) { return each.textContent === name; });
  return document.getElementById(label.htmlFor);
}
function press(target, key) { target.dispatchEvent(new KeyboardEvent("keydown", { key: key, bubbles: true })); }
function point(target, type, x, y) {
  var area = target.getBoundingClientRect();
  target.dispatchEvent(new PointerEvent(type, { pointerId: 1, buttons: type === "pointerup" ? 0 : 1,
    clientX: area.left + x * area.width, clientY: area.top + y * area.height, bubbles: true }));
}
async function operate() { ACTIONS }
operate().catch(function (error) { found.error = String(error); }).then(function () {
  found.errors = errors;
  found.requests = performance.getEntriesByType("resource").length;
  found.overflow = document.documentElement.scrollWidth - window.innerWidth;
  found.globals = Object.keys(window).filter(function (name) { return /nnzoo|LAYERS|tensor|model/i.test(name); });
  document.title = JSON.stringify(found);
});
</script>"""


def operate(run: nnzoo.Run, actions: str, tmp_path: Path) -> dict[str, Any]:
    """Runs actions in the page of a run, and returns what they found."""
    assert CHROMIUM is not None
    html = (
        (run.run_dir / "report.html").read_text(encoding="utf-8").replace("<meta charset", f"{ERRORS}<meta charset", 1)
    )
    page = tmp_path / "page.html"
    page.write_text(html.replace("</body>", f"{DRIVER.replace('ACTIONS', actions)}</body>"), encoding="utf-8")
    options = [*ARGUMENTS.split(), f"--user-data-dir={tmp_path / 'profile'}"]
    shown = subprocess.run([CHROMIUM, *options, page.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    title = re.search(r"<title>(.*?)</title>", shown.stdout, re.DOTALL)
    assert title is not None
    found: dict[str, Any] = json.loads(unescape(title[1]))
    assert "error" not in found, found
    assert (found["errors"], found["requests"], found["globals"]) == ([], 0, [])
    assert found["overflow"] <= 0
    return found


def test_a_drawn_digit_is_recognized(tmp_path: Path) -> None:
    run = nnzoo.train("digits_mlp", overrides={"train.epochs": 12}, runs_dir=tmp_path, quiet=True)
    actions = """
      await wait();
      found.first = answer();
      var canvas = live.querySelector("canvas");
      await use(control("Start from a sample of test"), 0);
      point(canvas, "pointerdown", 0.35, 0.5);
      for (var i = 1; i <= 24; i++) {
        point(canvas, "pointermove", 0.5 - 0.15 * Math.cos(i * Math.PI / 12), 0.5 - 0.25 * Math.sin(i * Math.PI / 12));
      }
      point(canvas, "pointerup", 0.35, 0.5);
      await wait();
      found.circle = answer();
      found.layers = Array.from(live.querySelectorAll(".live-layers figure")).map(function (figure) {
        return figure.querySelector("canvas").getAttribute("aria-label");
      });
      live.querySelector("button").click();
      await wait();
      for (i = 0; i < 2; i++) press(canvas, "ArrowUp");
      press(canvas, " ");
      for (i = 0; i < 4; i++) press(canvas, "ArrowDown");
      await wait();
      found.line = answer();
    """
    found = operate(run, actions, tmp_path)
    assert re.fullmatch(r"Prediction: \d \(\d+\.\d %\)", found["first"])
    assert found["circle"].startswith("Prediction: 0 ")
    assert found["line"].startswith("Prediction: 1 ")
    assert [re.sub(r" from .*", "", label) for label in found["layers"]] == [
        "hidden.0: 64 values",
        "hidden.1: 32 values",
        "output: 10 values",
    ]


def test_a_row_is_edited_and_the_answer_is_that_of_predict(tmp_path: Path) -> None:
    choose = random.Random(0)
    kinds = ["</script><script>alert(1)</script>", "a & b", "x" * 300]
    rows = [[f"{choose.uniform(0, 9):.2f}", kind, ""] for kind in choose.choices(kinds, k=150)]
    for row in rows:
        row[2] = "</script>yes" if float(row[0]) > 4 and row[1] != kinds[1] else "no"
    with (tmp_path / "table.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["size", "<i>kind</i>", "label"], *rows])
    config = {
        "data": {"name": "csv", "path": str(tmp_path / "table.csv"), "target": "label"},
        "model": {"name": "mlp", "hidden": [6]},
        "train": {"epochs": 5},
    }
    run = nnzoo.train(config, runs_dir=tmp_path / "runs", quiet=True)
    actions = """
      await wait();
      await use(control("size"), "7.25");
      var select = control("<i>kind</i>");
      var names = Array.from(select.options).map(function (option) { return option.textContent; });
      await use(select, names.indexOf("a & b"));
      found.edited = Array.from(live.querySelectorAll(".live-bars tr")).map(function (row) {
        return [row.children[0].textContent, row.children[2].textContent];
      });
      await use(control("size"), "seven");
      found.wrong = [answer(), live.querySelector(".live-notes").textContent];
      await use(live.querySelector("input[type=range]"), 2);
      found.slid = [control("size").value, answer()];
    """
    found = operate(run, actions, tmp_path)
    proba = run.model.predict_proba({"size": ["7.25"], "<i>kind</i>": ["a & b"]})[0]
    names = list(run.model.classes)
    assert found["edited"] == [[name, f"{100 * share:.1f} %"] for name, share in zip(names, proba, strict=True)]
    assert found["wrong"] == [
        "No answer: see below.",
        "size: 'seven' is not a number in the format of the column.",
    ]
    label = run.model.predict({"size": [found["slid"][0]], "<i>kind</i>": ["a & b"]})[0]
    assert found["slid"][0] == "2"
    assert found["slid"][1].startswith(f"label: {label} (")
