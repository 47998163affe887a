"""`nnzoo lesson`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnzoo.cli.completion import lesson_names
from nnzoo.cli.options import Debug, Json, Quiet, Verbose, free_page, print_json, table
from nnzoo.errors import GateError, UsageError

if TYPE_CHECKING:
    from nnzoo.lessons.results import LessonResult
    from nnzoo.lessons.schema import Language, Lesson

WIDTH = 100


def lesson(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="The name or number of a lesson.", autocompletion=lesson_names),
    ] = None,
    lang: Annotated[str, typer.Option("--lang", metavar="L", help="Language of the texts: en or zh.")] = "en",
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of the lesson.")] = 0,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the configs. The claim is then not judged."),
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", metavar="FILE", help="The HTML file; default: lesson_NAME.html.")
    ] = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open the page in a browser.")] = False,
    all_lessons: Annotated[bool, typer.Option("--all", help="Run all lessons. Needs --site.")] = False,
    site: Annotated[
        str | None, typer.Option("--site", metavar="DIR", help="With --all: write a site of all lessons to DIR.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Show one idea of a first course: train, measure, check a claim, and write a page with figures.

    Without a name, lists the lessons. If the claim does not hold, the exit code is 5.
    """
    from nnzoo.lessons.schema import catalog, find_lesson

    language = _language(lang)
    _check_options(name, all_lessons=all_lessons, site=site, output=output, overrides=overrides or [])
    if all_lessons:
        assert site is not None
        _write_site(Path(site), seed=seed, as_json=as_json)
    elif name is None:
        _print_list(list(catalog().values()), language, as_json=as_json)
    else:
        found = find_lesson(name)
        _run(
            found,
            language,
            seed=seed,
            overrides=overrides or [],
            output=None if output is None else Path(output),
            opens=not (no_open or as_json or quiet),
            as_json=as_json,
            brief=quiet,
            every_check=verbose,
        )


def _language(text: str) -> Language:
    if text in ("zh", "zh-CN", "zh-Hans", "zh_CN", "cn"):
        return "zh"
    if text != "en":
        raise UsageError(f"expected en or zh, got '{text}'.", where="--lang")
    return "en"


def _check_options(
    name: str | None, *, all_lessons: bool, site: str | None, output: str | None, overrides: list[str]
) -> None:
    """Raises UsageError for options that have no effect together."""
    if all_lessons != (site is not None):
        raise UsageError("--all and --site DIR belong together.", where="--site" if all_lessons else "--all")
    if all_lessons and (name is not None or output is not None or overrides):
        raise UsageError("does not work with a NAME, --output or --set.", where="--all")
    if name is None and not all_lessons and (output is not None or overrides):
        raise UsageError("--output and --set need the NAME of a lesson. `nnzoo lesson` lists them.", where="NAME")


def _print_list(lessons: list[Lesson], language: Language, *, as_json: bool) -> None:
    if as_json:
        entries = [
            {"number": each.number, "name": each.name, "title": each.en.title, "claim": each.texts(language).claim}
            for each in lessons
        ]
        print_json({"lessons": entries})
        return
    width = max(len(each.name) for each in lessons)
    for each in lessons:
        print(f"{each.number:3}  {each.name:{width}}  {each.texts(language).claim}")


def _run(
    lesson: Lesson,
    language: Language,
    *,
    seed: int,
    overrides: list[str],
    output: Path | None,
    opens: bool,
    as_json: bool,
    brief: bool,
    every_check: bool,
) -> None:
    import sys

    from nnzoo.lessons.page import lesson_page
    from nnzoo.lessons.results import run_lesson
    from nnzoo.run.files import write_text

    path = output or free_page(f"lesson_{lesson.name}{'.zh' if language == 'zh' else ''}")
    result = run_lesson(lesson, seed=seed, overrides=overrides)
    write_text(path, lesson_page(result, language))
    failed = result.is_judged and not result.held
    if as_json:
        if not failed:
            print_json({**result.as_dict(), "page": str(path)})
    else:
        print(report(result, language, brief=brief, every_check=every_check))
        print(path)
    if failed:
        missed = ", ".join(check.text for check in result.checks if not check.held)
        raise GateError(
            f"the claim did not hold: {missed}.", where=lesson.name, result={**result.as_dict(), "page": str(path)}
        )
    if opens and sys.stdout.isatty():
        import webbrowser

        with contextlib.suppress(webbrowser.Error):
            webbrowser.open(path.resolve().as_uri())


def report(result: LessonResult, language: Language, *, brief: bool = False, every_check: bool = False) -> str:
    """Returns a lesson as text: what it shows and why, the measured values beside the expected ones, the verdict."""
    import textwrap

    from nnzoo.lessons.page import verdict
    from nnzoo.lessons.words import chinese

    def word(text: str) -> str:
        return chinese().get(text, text) if language == "zh" else text

    texts = result.lesson.texts(language)
    rows = [list(row) for row in result.rows(language)]
    measured = table(["", word("measured"), word("expected")], rows)
    checks = [f"{check.text}: {word('held' if check.held else 'did not hold')}" for check in result.checks]
    judged = f"{word(verdict(result))} ({result.seconds:.1f} s)"
    parts = [measured, *(["\n".join(checks)] if every_check else []), judged]
    if brief:
        return "\n\n".join(parts)
    idea, reading = (_wrapped(text, language) for text in (texts.text, texts.reading))
    formula = [textwrap.indent(texts.formula.rstrip(), "    ")] if texts.formula else []
    head = f"{result.lesson.number}. {texts.title}\n{texts.claim}"
    return "\n\n".join([head, idea, *formula, reading, *parts])


def _wrapped(text: str, language: Language) -> str:
    """Returns paragraphs with short lines. Chinese characters take two columns each."""
    import textwrap

    width = WIDTH // 2 if language == "zh" else WIDTH
    return "\n\n".join(textwrap.fill(" ".join(each.split()), width) for each in text.strip().split("\n\n"))


def _write_site(folder: Path, *, seed: int, as_json: bool) -> None:
    from nnzoo import log
    from nnzoo.lessons.results import run_lesson
    from nnzoo.lessons.schema import catalog
    from nnzoo.lessons.site import check_folder, summary_line, write_site

    def run(each: Lesson) -> LessonResult:
        result = run_lesson(each, seed=seed)
        log.info("%s", summary_line(result))
        return result

    check_folder(folder)
    site, results = write_site(folder, list(catalog().values()), run)
    summary = {"site": str(site.start), "pages": site.num_pages, "bytes": site.size}
    full = {**summary, "lessons": [result.as_dict() for result in results.values()]}
    failed = [name for name, result in results.items() if not result.held]
    if failed:
        raise GateError(f"the claims of these lessons did not hold: {', '.join(failed)}.", where="lesson", result=full)
    if as_json:
        print_json(full)
    else:
        print(f"{site.start}: {site.num_pages} pages, {site.size / 1e6:.1f} MB")
