"""Writes all lessons as a static site: an index in the order of the course, and one page per lesson and language."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from nnzoo.errors import UsageError
from nnzoo.lessons.page import lesson_page, verdict
from nnzoo.lessons.results import LessonResult
from nnzoo.lessons.schema import LANGUAGES, Language, Lesson
from nnzoo.lessons.words import translated
from nnzoo.report.charts import Cell, Link, Section, TableOf, Text
from nnzoo.report.page import page
from nnzoo.run.files import finite, write_json, write_text

RESULTS = "lessons.json"
"""The file with the measured values of all lessons. It marks a folder as a site of lessons."""
TITLES: dict[Language, str] = {"en": "Neural networks, one idea at a time", "zh": "神经网络：一课一个概念"}
LEADS: dict[Language, str] = {
    "en": "Every lesson trains small networks, measures, and checks its claim.",
    "zh": "每一课都训练几个小网络，测量结果，并检验它的论断。",
}


class Site(NamedTuple):
    """A written site.

    Attributes:
        start: The index page.
        num_pages: The number of pages.
        size: The size of all files in bytes.
    """

    start: Path
    num_pages: int
    size: int


def check_folder(folder: Path) -> None:
    """Raises UsageError if a folder has other files than those of an earlier site."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / RESULTS).exists():
        raise UsageError(f"{folder} has other files. Choose a new or an empty folder.", where="--site")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is not a folder.", where="--site")


def write_site(
    folder: Path, lessons: Sequence[Lesson], run: Callable[[Lesson], LessonResult]
) -> tuple[Site, Mapping[str, LessonResult]]:
    """Writes a site: `index.html` and one page per lesson in English, and the same in Chinese in `zh`.

    Args:
        folder: The folder; it is created.
        lessons: The lessons, in the order of the course.
        run: Runs a lesson.

    Returns:
        The site, and the results without their networks by the name of the lesson.

    Raises:
        UsageError: The folder has other files.
        RunError: A file can't be written.
    """
    check_folder(folder)
    for language in LANGUAGES:
        _folder_of(folder, language).mkdir(parents=True, exist_ok=True)
    results: dict[str, LessonResult] = {}
    size = 0
    for index, lesson in enumerate(lessons):
        result = run(lesson)
        for language in LANGUAGES:
            pages = _links(lessons, index, language)
            path = _folder_of(folder, language) / f"{lesson.name}.html"
            write_text(path, lesson_page(result, language, pages))
            size += path.stat().st_size
        # Only the numbers are kept, since the data and the weights of all lessons would need much memory.
        results[lesson.name] = result.without_networks()
    for language in LANGUAGES:
        path = _folder_of(folder, language) / "index.html"
        write_text(path, index_page(list(results.values()), language))
        size += path.stat().st_size
    write_json(folder / RESULTS, finite([result.as_dict() for result in results.values()]))
    size += (folder / RESULTS).stat().st_size
    return Site(folder / "index.html", len(LANGUAGES) * (len(lessons) + 1), size), results


def index_page(results: Sequence[LessonResult], language: Language) -> str:
    """Returns the page that lists the lessons in the order of the course."""
    rows: list[list[Cell | Link]] = []
    for result in results:
        texts = result.lesson.texts(language)
        link = Link(texts.title, f"{result.lesson.name}.html")
        rows.append([result.lesson.number, link, texts.claim, "held" if result.held else "did not hold"])
    table = TableOf("", "", ["no.", "lesson", "claim", "result"], rows, limit=400, scrolls=False)
    seconds = sum(result.seconds for result in results)
    lead = LEADS[language]
    other: Language = "en" if language == "zh" else "zh"
    html = page(
        TITLES[language],
        [Section("lessons", "All lessons", [table, *_summary(results, seconds, language)])],
        lead=lead,
        pages=[_language_link(other, "index.html")],
        language="zh-Hans" if language == "zh" else "en",
    )
    return translated(html, language, {})


def _summary(results: Sequence[LessonResult], seconds: float, language: Language) -> list[Text]:
    held = sum(result.held for result in results)
    if language == "zh":
        return [Text(f"{len(results)} 课中有 {held} 课的论断成立；训练共用 {seconds:.0f} 秒。")]
    return [Text(f"The claims of {held} of {len(results)} lessons held. Training took {seconds:.0f} s.")]


def _links(lessons: Sequence[Lesson], index: int, language: Language) -> list[Link]:
    links = []
    if index > 0:
        links.append(Link("Previous", f"{lessons[index - 1].name}.html"))
    links.append(Link("All lessons", "index.html"))
    if index + 1 < len(lessons):
        links.append(Link("Next", f"{lessons[index + 1].name}.html"))
    other: Language = "en" if language == "zh" else "zh"
    return [*links, _language_link(other, f"{lessons[index].name}.html")]


def _language_link(language: Language, name: str) -> Link:
    """Returns the link to the same page in the other language."""
    return Link("中文", f"zh/{name}") if language == "zh" else Link("English", f"../{name}")


def _folder_of(folder: Path, language: Language) -> Path:
    return folder if language == "en" else folder / language


def summary_line(result: LessonResult) -> str:
    """Returns one line about a lesson: its name, whether its claim held, and the time."""
    failed = "" if result.held else f" ({', '.join(check.text for check in result.checks if not check.held)})"
    return f"{result.lesson.number:3} {result.lesson.name}: {verdict(result)}{failed} ({result.seconds:.1f} s)"
