"""The page of a lesson: the claim with its numbers, the idea, the figures, an exercise, and how to run it."""

from __future__ import annotations

from collections.abc import Sequence

from nnzoo.config.yaml_writer import flow
from nnzoo.lessons.figures.kinds import draw
from nnzoo.lessons.results import LessonResult
from nnzoo.lessons.schema import BASE, Language
from nnzoo.lessons.training import SEEDS_PER_LESSON
from nnzoo.lessons.words import translated
from nnzoo.report.charts import Cell, Details, Link, Part, Section, TableOf, Text
from nnzoo.report.page import page


def lesson_page(result: LessonResult, language: Language, pages: Sequence[Link] = ()) -> str:
    """Returns the page of a lesson as HTML. It needs no other file, and loads nothing.

    Args:
        result: What the lesson has shown.
        language: The language of the page.
        pages: Links to other pages, such as the previous and the next lesson.
    """
    texts = result.lesson.texts(language)
    title = f"{result.lesson.number}. {texts.title}"
    sections = [
        _claim(result, language),
        _idea(result, language),
        _figures(result, language),
        _exercise(result, language),
        Section("today", "Today", _paragraphs(texts.today)),
        _run(result),
    ]
    html = page(
        title,
        [section for section in sections if section.parts],
        lead=texts.claim,
        pages=pages,
        language="zh-Hans" if language == "zh" else "en",
    )
    return translated(html, language, texts.names)


def verdict(result: LessonResult) -> str:
    """Returns whether the claim held, in a sentence."""
    if result.is_judged:
        return "The claim held here." if result.held else "The claim did not hold here."
    holds = "it holds here" if result.held else "it does not hold here"
    return (
        f"The settings of all variants were changed, so the claim is observed, not judged: {holds}. "
        "The names and texts describe the lesson as it was written."
    )


def _claim(result: LessonResult, language: Language) -> Section:
    rows: list[list[Cell]] = [list(row) for row in result.rows(language)]
    checks: list[list[Cell]] = [[check.text, "held" if check.held else "did not hold"] for check in result.checks]
    parts: list[Part] = [
        Text(verdict(result)),
        TableOf("", "", ["", "measured", "expected"], rows),
        Details("The checks", [TableOf("", "", ["check", "result"], checks)]),
    ]
    return Section("claim", "Claim", parts)


def _idea(result: LessonResult, language: Language) -> Section:
    texts = result.lesson.texts(language)
    parts: list[Part] = [*_paragraphs(texts.text)]
    if texts.formula:
        parts.append(Text(texts.formula.strip("\n"), code=True))
    return Section("idea", "Idea", parts)


def _figures(result: LessonResult, language: Language) -> Section:
    parts = [part for figure in result.lesson.figures for part in draw(figure, result, language)]
    reading = _paragraphs(result.lesson.texts(language).reading)
    return Section("figures", "Figures", [*reading, *parts])


def _exercise(result: LessonResult, language: Language) -> Section:
    texts = result.lesson.texts(language)
    return Section(
        "exercise", "Exercise", [*_paragraphs(texts.exercise), Details("Show the answer", _paragraphs(texts.answer))]
    )


def _run(result: LessonResult) -> Section:
    """Returns the command of the lesson, and its config as a file that can be copied."""
    lesson = result.lesson
    options = "".join(f" --set {text}" for text in result.overrides) + (f" --seed {result.seed}" if result.seed else "")
    parts: list[Part] = [Text(f"nnzoo lesson {lesson.name}{options}", code=True)]
    if lesson.runs is None:
        return Section("run", "Run it yourself", parts)
    inner: list[Part] = [Text(config_text(result), code=True)]
    changes: list[list[Cell]] = [
        [name, ", ".join(f"{key}={flow(value)}" for key, value in overrides.items())]
        for name, overrides in lesson.variants.items()
        if name != BASE
    ]
    if changes:
        inner.append(TableOf("What each variant changes", "", ["variant", "KEY=VALUE"], changes, limit=400))
    parts.append(Details("The config", inner))
    if lesson.samples:
        rows = ", ".join(f"{key}={values}" for key, values in lesson.samples.items())
        parts.append(Details("The data", [Text(f"nnzoo.train(config, data=dict({rows}))", code=True)]))
    if lesson.files:
        files = [Text(f"# {name}\n{text}", code=True) for name, text in lesson.files.items()]
        parts.append(Details("The files", files))
    return Section("run", "Run it yourself", parts)


def config_text(result: LessonResult) -> str:
    """Returns the config that all variants share as YAML, with only the keys that the lesson sets."""
    lines = [f"{key}: {flow(value)}" for key, value in (result.lesson.runs or {}).items()]
    if result.seed:
        lines.append(f"seed: {result.seed * SEEDS_PER_LESSON}")
    return "\n".join(lines)


def _paragraphs(text: str) -> list[Text]:
    """Returns the paragraphs of a text, which are separated by empty lines."""
    return [Text(" ".join(each.split())) for each in text.strip().split("\n\n")]
