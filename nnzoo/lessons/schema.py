"""The file of a lesson: what is trained, what is measured, what must hold, and the texts in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from nnzoo.config.base import Count, Items, NonNegative, Section
from nnzoo.config.suggest import did_you_mean
from nnzoo.config.yaml_reader import read_yaml
from nnzoo.errors import UsageError
from nnzoo.lessons.expressions import check_expression, names_in

CATALOG = Path(__file__).parent / "catalog"
Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
BASE = "network"
"""The name of the only variant of a lesson that varies nothing."""
KINDS = Literal[
    "regions",
    "units",
    "curves",
    "lines",
    "scatter",
    "bars",
    "clouds",
    "strips",
    "histograms",
    "heatmap",
    "images",
    "network",
    "circuit",
    "contour",
    "table",
    "trees",
    "live",
]


class Texts(Section):
    """The texts of a lesson in one language."""

    title: str = Field(description="the title")
    claim: str = Field(description="the claim, in one sentence")
    text: str = Field(description="the idea, in one to three paragraphs separated by empty lines")
    formula: str = Field("", description="the formula, as preformatted text")
    reading: str = Field(description="how to read the figures")
    exercise: str = Field(description="one exercise")
    answer: str = Field(description="its answer")
    today: str = Field(description="what practice does today")
    names: dict[str, str] = Field(default_factory=dict, description="translations of variants, series and headers")


class Measure(Section):
    """A measured value."""

    value: str = Field(description="an expression")
    expect: str | float | None = Field(None, description="the expected value, or an expression of it")
    within: NonNegative = Field(1e-5, description="the largest difference from `expect`, relative to its size")
    en: str = Field(description="what is measured")
    zh: str = Field(description="the same in Chinese")


class Figure(Section):
    """A figure of one of the general kinds, with the arguments of that kind."""

    kind: KINDS = Field(description="the kind")
    en: str = Field(description="the title")
    zh: str = Field(description="the title in Chinese")
    options: dict[str, Any] = Field(default_factory=dict, description="the arguments of the kind")

    @model_validator(mode="before")
    @classmethod
    def _collect_options(cls, value: Any) -> Any:
        """Moves the arguments of the kind, which stand beside the title, to `options`."""
        if not isinstance(value, dict):
            return value
        own = {key: value[key] for key in ("kind", "en", "zh") if key in value}
        return {**own, "options": {key: each for key, each in value.items() if key not in own}}


class Lesson(Section):
    """A lesson."""

    number: Count = Field(description="the position in the course")
    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")] = Field(description="the name on the command line")
    seconds: NonNegative = Field(description="the training time on two cores, in seconds")
    files: dict[str, str] = Field(default_factory=dict, description="small data files that the configs read, by name")
    samples: dict[str, list[Any]] | None = Field(None, description="x and y of all variants, instead of a data source")
    runs: dict[str, Any] | None = Field(None, description="the config of all variants; null: nothing is trained")
    vary: dict[str, dict[str, Any]] = Field(default_factory=dict, description="the overrides of each variant, by name")
    let: dict[str, str] = Field(default_factory=dict, description="expressions that later expressions use by name")
    measure: dict[str, Measure] = Field(description="the measured values, by name")
    check: Items[str] = Field((), description="comparisons that must hold")
    figures: Items[Figure] = Field((), description="the figures")
    en: Texts
    zh: Texts

    @property
    def variants(self) -> dict[str, dict[str, Any]]:
        """The overrides of each variant; empty if nothing is trained."""
        if self.runs is None:
            return {}
        return self.vary or {BASE: {}}

    def texts(self, language: Language) -> Texts:
        """Returns the texts in a language."""
        return self.zh if language == "zh" else self.en

    @field_validator("files")
    @classmethod
    def _check_files(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if Path(name).name != name:
                raise ValueError(f"'{name}' must be a plain file name")
        return value

    @model_validator(mode="after")
    def _check_expressions(self) -> Lesson:
        """Checks every expression: its syntax, and that the names in it are known at that place."""
        if self.runs is None and self.vary:
            raise ValueError("vary needs runs")
        known = {"seed"}
        for name, text in self.let.items():
            check_expression(text, known)
            known.add(name)
        for name, measure in self.measure.items():
            check_expression(measure.value, known)
            if isinstance(measure.expect, str):
                check_expression(measure.expect, known)
            known.add(name)
        for text in self.check:
            check_expression(text, known)
            if not names_in(text) & set(self.measure):
                raise ValueError(f"the check '{text}' names no measure")
        if not self.check and all(measure.expect is None for measure in self.measure.values()):
            raise ValueError("the claim needs a check, or a measure with an expected value")
        return self


@cache
def catalog() -> Mapping[str, Lesson]:
    """Returns the lessons by name, in the order of the course.

    Raises:
        UsageError: The file of a lesson is invalid.
    """
    lessons = sorted((read_lesson(path) for path in CATALOG.glob("*.yaml")), key=lambda lesson: lesson.number)
    return {lesson.name: lesson for lesson in lessons}


def read_lesson(path: Path) -> Lesson:
    """Reads the file of a lesson.

    Raises:
        UsageError: The file is invalid.
    """
    try:
        return Lesson.model_validate(read_yaml(path, path.name).plain())
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise UsageError(f"{first['msg']}.", where=f"{path}: {key}" if key else str(path)) from None


def find_lesson(name: str) -> Lesson:
    """Returns the lesson with a name or a number.

    Raises:
        UsageError: There is no such lesson.
    """
    lessons = catalog()
    if name in lessons:
        return lessons[name]
    by_number = {str(lesson.number): lesson for lesson in lessons.values()}
    if name.isdigit() and str(int(name)) in by_number:
        return by_number[str(int(name))]
    raise UsageError(
        f"'{name}' is not a lesson.{did_you_mean(name, lessons)} `nnzoo lesson` lists the lessons.", where="lesson"
    )
