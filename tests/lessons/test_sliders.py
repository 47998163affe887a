"""Figures with a slider, and networks that are computed in the page of a lesson."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import accessibility
import pytest

from nnzoo.errors import UsageError
from nnzoo.lessons.figures.kinds import check_options, draw
from nnzoo.lessons.page import lesson_page
from nnzoo.lessons.results import LessonResult, run_lesson
from nnzoo.lessons.schema import Figure, find_lesson
from nnzoo.lessons.words import chinese_in_scripts
from nnzoo.report.charts import Drawing, Slides

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --window-size=500,900 --dump-dom"
)
PROBE = """<script>
var input = document.querySelector(".slides input"), found = [];
function look() {
  var seen = Array.from(document.querySelectorAll(".slides .slide"), function (each) { return each.offsetHeight > 0; });
  found.push(seen.indexOf(true) + "/" + seen.filter(Boolean).length + "/" + input.getAttribute("aria-valuetext"));
}
look(); input.value = 0; input.dispatchEvent(new Event("input")); look();
setTimeout(function () {
  found.push(document.querySelector(".live-answer").textContent);
  found.push(document.documentElement.scrollWidth - window.innerWidth);
  document.title = found.join("|");
}, 200);
</script>"""


@pytest.fixture(scope="module")
def xor() -> LessonResult:
    return run_lesson(find_lesson("xor"), overrides=["train.epochs=60"])


def slides(result: LessonResult, **options: Any) -> Slides:
    (part,) = draw(Figure.model_validate({"kind": "regions", "en": "Regions", "zh": "区域", **options}), result, "en")
    assert isinstance(part, Slides)
    return part


def test_a_slider_moves_through_the_training(xor: LessonResult) -> None:
    part = slides(xor, slider="steps", of=["two hidden units"])
    names = list(part.slides)
    assert names[:3] == ["step 0", "step 1", "step 2"]
    assert (names[-1], len(names) >= 6) == ("step 60", True)
    drawn = [each for (each,) in part.slides.values() if isinstance(each, Drawing)]
    images = [re.findall(r'href="data:image/png;base64,([^"]*)"', each.svg) for each in drawn]
    assert len({each for (each,) in images}) == len(names)
    at_end = Figure.model_validate({"kind": "regions", "en": "", "zh": "", "of": ["two hidden units"], "at": "last"})
    (last,) = draw(at_end, xor, "en")
    assert isinstance(last, Drawing)
    assert images[-1][0] in last.svg


def test_a_slider_over_variants(xor: LessonResult) -> None:
    part = slides(xor, slider="variants")
    assert list(part.slides) == ["one line", "two hidden units"]
    assert part.title == "Regions"


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("curves", {"column": "train/loss", "slider": "steps"}, "slider of curves must be variants"),
        ("regions", {"slider": "epochs"}, r"must be variants or steps \(got epochs\)"),
        ("live", {}, "live needs of"),
    ],
)
def test_wrong_options(kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_options(kind, options)


def test_pages_are_accessible_and_speak_chinese(xor: LessonResult) -> None:
    english, chinese = (lesson_page(xor, language) for language in ("en", "zh"))
    assert accessibility.problems_of(english) == []
    assert 'aria-label="step 60"' in english
    assert 'aria-label="第 60 步"' in chinese
    live = chinese[chinese.index('class="wide live"') :]
    assert "各层的激活值" in live
    assert "Activations of each layer" not in live
    assert "从训练集的一个样本开始" in live


def test_every_translated_text_of_a_script_is_in_it() -> None:
    folder = Path(__file__).parents[2] / "nnzoo" / "report" / "live"
    scripts = "".join(path.read_text(encoding="utf-8") for path in (folder / "js").glob("*.js"))
    data = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    for text in chinese_in_scripts():
        assert text in scripts or text.strip('"').rpartition(" ")[0] in data, text


@pytest.mark.page
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_the_slider_and_the_network_in_a_browser(xor: LessonResult, tmp_path: Path) -> None:
    assert CHROMIUM is not None
    page = tmp_path / "page.html"
    page.write_text(lesson_page(xor, "en").replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [CHROMIUM, *ARGUMENTS.split(), "--virtual-time-budget=3000", profile, page.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    title = re.search(r"<title>(.*?)</title>", shown, re.DOTALL)
    assert title is not None
    last, first, answer, overflow = title[1].split("|")
    assert re.fullmatch(r"\d+/1/step 60", last)
    assert first == "0/1/step 0"
    assert re.match(r"Prediction: [01] \(\d", answer)
    assert int(overflow) <= 0
