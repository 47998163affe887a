"""The files of the lessons: complete in both languages, and figures with known options."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nnzoo.errors import UsageError
from nnzoo.lessons.expressions import check_expression, names_in
from nnzoo.lessons.figures.kinds import check_options
from nnzoo.lessons.schema import CATALOG, Lesson, Texts, catalog, find_lesson, read_lesson
from nnzoo.lessons.training import written_config
from nnzoo.lessons.words import chinese

LESSONS = list(catalog().values())
HAN = re.compile("[\u4e00-\u9fff]")
TERMS = {"反向传播算法传播", "时代", "纪元", "丢失函数", "层数归一化", "批次归一化", "早期停止", "回归神经网络"}
"""Words that a literal translation would use instead of the standard term."""


def ids(lesson: Lesson) -> str:
    return lesson.name


def test_numbers_and_file_names_are_unique() -> None:
    assert len(LESSONS) == len(list(CATALOG.glob("*.yaml"))) == len({lesson.number for lesson in LESSONS})
    assert [lesson.number for lesson in LESSONS] == sorted(lesson.number for lesson in LESSONS)
    for lesson in LESSONS:
        assert (CATALOG / f"{lesson.number:02}_{lesson.name.replace('-', '_')}.yaml").exists()


@pytest.mark.parametrize("lesson", LESSONS, ids=ids)
def test_texts_are_complete_and_short(lesson: Lesson) -> None:
    assert 60 <= len(lesson.en.text.split()) <= 150
    assert 100 <= len(HAN.findall(lesson.zh.text)) <= 320
    for name in Texts.model_fields:
        english, translated = getattr(lesson.en, name), getattr(lesson.zh, name)
        if name not in ("names", "formula"):
            assert english
            assert HAN.search(translated), f"{name} is not Chinese"
            assert not any(term in translated for term in TERMS)
    assert "\n\n" not in lesson.en.claim
    assert len(lesson.en.claim) <= 160


@pytest.mark.parametrize("lesson", LESSONS, ids=ids)
def test_every_label_has_a_translation(lesson: Lesson) -> None:
    known = {**chinese(), **lesson.zh.names}
    labels = [name for name in lesson.variants if name != "network"]
    for figure in lesson.figures:
        assert HAN.search(figure.zh)
        for value in figure.options.values():
            labels += list(value) if isinstance(value, dict) else []
        labels += figure.options.get("header", [])
        rows = figure.options.get("rows", [])
        labels += [row[0] for row in rows if isinstance(row, list)]
    for label in labels:
        is_symbol = re.fullmatch(r"[a-zA-Z]\w?|[-.\d]+", str(label))
        assert is_symbol or str(label) in known, f"{label!r} has no translation in zh.names or zh.yaml"
    for measure in lesson.measure.values():
        assert measure.en
        assert HAN.search(measure.zh)


@pytest.mark.parametrize("lesson", LESSONS, ids=ids)
def test_figures_have_known_options(lesson: Lesson) -> None:
    assert lesson.figures
    for figure in lesson.figures:
        check_options(figure.kind, figure.options)
        named = figure.options.get("of", [])
        assert set([named] if isinstance(named, str) else named) <= set(lesson.variants)
    for text in lesson.check:
        check_expression(text, {*lesson.let, *lesson.measure, "seed"})


@pytest.mark.parametrize("lesson", LESSONS, ids=ids)
def test_every_measure_is_checked(lesson: Lesson) -> None:
    """A value that nothing compares would be no part of the claim."""
    read: set[str] = set()
    for text in [*lesson.check, *(str(measure.expect) for measure in lesson.measure.values() if measure.expect)]:
        read |= names_in(text)
    for name, measure in lesson.measure.items():
        assert measure.expect is not None or name in read, name


def test_a_lesson_is_found_by_name_and_number() -> None:
    assert find_lesson("xor") is find_lesson("31") is find_lesson("031")
    with pytest.raises(UsageError, match=r"'xorr' is not a lesson. Did you mean 'xor'\?"):
        find_lesson("xorr")
    with pytest.raises(UsageError, match="Did you mean 'hidden-units'"):
        find_lesson("hidden_unit")


def test_the_config_of_a_variant_has_only_written_keys() -> None:
    lesson = find_lesson("xor")
    assert written_config(lesson, "one line")["model"] == {"name": "mlp", "hidden": [], "activation": "tanh"}
    assert written_config(find_lesson("perceptron"), "OR")["data"] == "or"
    assert written_config(lesson, "two hidden units", seed=3) == {**(lesson.runs or {}), "seed": 300}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("solved >= 0.4", "solvd >= 0.4"),
            "reads 'solvd', which is not defined. Did you mean 'solved'",
        ),
        (("solved >= 0.4", "0.5 >= 0.4"), "the check '0.5 >= 0.4' names no measure"),
        (("kind: regions", "kind: region"), "figures.0.kind"),
        (("number: 31", "number: many"), "number"),
        (("name: xor\n", "name: X or\n"), "name"),
        (("seconds: ", "secnds: "), "seconds"),
        (("max(restarts", "max(open.restarts"), "is not allowed|calls something"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    text = (CATALOG / "31_xor.yaml").read_text(encoding="utf-8")
    assert change[0] in text
    path = tmp_path / "31_xor.yaml"
    path.write_text(text.replace(*change, 1), encoding="utf-8")
    with pytest.raises(UsageError, match=message) as raised:
        read_lesson(path)
    assert "31_xor.yaml" in str(raised.value)


def test_the_page_of_ideas_names_every_lesson() -> None:
    page = (Path(__file__).parents[2] / "docs" / "ideas.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("| ")][2:]
    assert sorted(name for row in rows for name in re.findall(r"`([-a-z0-9]+)`", row[2])) == sorted(catalog())
