"""Keeps an error in one section of a page from costing the other sections."""

from __future__ import annotations

import traceback

from nnzoo import log


def note_failure(name: str, error: Exception) -> str:
    """Logs why a part of the page is missing, with the traceback at debug level, and returns the line for the page.

    Args:
        name: The name of the part.
        error: The reason.
    """
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    log.debug("%s", "".join(traceback.format_exception(error)))
    log.warning("the section '%s' of the page could not be made (%s)", name, reason)
    return f"This section could not be made: {reason}"
