"""Escapes text for pages. Every text of a page that comes from data or from a config goes through here."""

from __future__ import annotations

import html
import unicodedata

MAX_LENGTH = 160
"""Longer texts are cut on the page."""

_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def escape(value: object, limit: int | None = MAX_LENGTH) -> str:
    """Returns a text that is safe in HTML and SVG, in elements and in quoted attributes.

    Control characters and those that change the direction of the text around them become U+FFFD. Tabs and line breaks
    stay. A text of only spaces and line breaks is quoted, since it would be invisible.

    Args:
        value: The text, or another value, which is converted to text.
        limit: The largest number of characters; longer texts end with an ellipsis. None for no limit.
    """
    text = str(value)
    if text.isspace():
        text = repr(text)
    if limit is not None and len(text) > limit:
        text = f"{text[: limit - 1]}…"
    return html.escape("".join(map(_visible, text)) if not text.isascii() or not text.isprintable() else text)


def _visible(character: str) -> str:
    if character in "\t\n":
        return character
    return "\ufffd" if character in _DIRECTIONS or unicodedata.category(character) in ("Cc", "Cs") else character
