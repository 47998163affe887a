"""Translates the fixed words of a page: headings, labels of charts, and names of metrics."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from html import escape, unescape
from pathlib import Path

from nnzoo.config.yaml_reader import read_yaml
from nnzoo.lessons.schema import Language

FILE = Path(__file__).parent / "zh.yaml"
LIVE_FILE = Path(__file__).parent / "zh_live.yaml"


@cache
def chinese() -> Mapping[str, str]:
    """Returns the Chinese words by the English ones."""
    words: Mapping[str, str] = read_yaml(FILE, FILE.name).plain()
    return words


@cache
def chinese_in_scripts() -> Mapping[str, str]:
    """Returns the Chinese words of the network in the page by the text in its JavaScript or its data."""
    words: Mapping[str, str] = read_yaml(LIVE_FILE, LIVE_FILE.name).plain()
    return words


_PATTERNS: tuple[tuple[str, str], ...] = (
    (r"(\d+(?:,\d+)*) parameters?", r"\1 个参数"),
    (r"(\d+) units?", r"\1 个单元"),
    (r"(\d+) units? (\d+)", r"\1 个单元，第 \2 次"),
    (r"(\d+) inputs?", r"\1 个输入"),
    (r"(\d+) units?, (\w+)", r"\1 个单元，\2"),
    (r"widest: (.*)", r"最粗：\1"),
    (r"The network (.*), (?:unit by unit|block by block)", r"网络的结构：\1"),
    (r"(?s)(.*) reads inputs of shape .* and has (\d[\d,]*) parameters?\..*", r"\1：共 \2 个参数"),
    (r"input (\d+)", r"输入 \1"),
    (r"step (\d+)", r"第 \1 步"),
    (r"output (\d+)", r"输出 \1"),
)
_NODE = re.compile(r"(<(script|style|pre)\b.*?</\2>)|>([^<>]+)<|(aria-label=\")([^\"]*)(?=\")", re.DOTALL)


def translated(html: str, language: Language, names: Mapping[str, str]) -> str:
    """Returns a page in which every text that is a known word is translated.

    A text is the whole content between two tags, a label for screen readers, or one of the known words in a script.
    Styles and code stay.

    Args:
        html: The page, in English except for the texts of the lesson.
        language: The language.
        names: The translations of variants, series and headers of the lesson.
    """
    if language == "en":
        return html
    known = {**chinese(), **names}

    def replace(match: re.Match[str]) -> str:
        if match[1]:
            return _script(match[0]) if match[2] == "script" else match[0]
        if match[3] is not None:
            return f">{_word(match[3], known)}<"
        return f"{match[4]}{_word(match[5], known)}"

    return _NODE.sub(replace, html)


def _script(text: str) -> str:
    for english, translation in chinese_in_scripts().items():
        text = text.replace(english, translation)
    return text


def _word(text: str, known: Mapping[str, str]) -> str:
    """Returns the translation of an escaped text; the text itself if there is none."""
    plain = unescape(text)
    if plain in known:
        return escape(known[plain])
    for pattern, replacement in _PATTERNS:
        if match := re.fullmatch(pattern, plain):
            return escape(match.expand(replacement))
    left, comma, right = plain.partition(", ")
    if comma and (left in known or right in known):
        return escape(f"{known.get(left, left)}，{known.get(right, right)}")
    return text
