"""Progress messages, and warnings about data and config.

The library does not configure logging. Every line goes to the logger `nnzoo`, whose level and handlers are set by the
user; only the command line adds a handler (`console`). A journal (`recording`) belongs to one run or one command in one
thread. It collects the warnings, and writes all lines to train.log, regardless of the level of the logger.

Warnings are always shown: in the Python API as warnings of the category `DataWarning` or `NnzooWarning`, on the command
line as lines on standard error that begin with `warning:`.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

from nnzoo.errors import DataWarning, NnzooWarning, RunError

_logger = logging.getLogger("nnzoo")
_logger.addHandler(logging.NullHandler())


class Journal:
    """The lines and warnings of one run or one command.

    Attributes:
        quiet: Whether progress is written only to train.log.
        silent: Whether nothing is recorded or shown, since rank 0 of the same run does that.
        warnings: The distinct warnings so far, in the order in which they were given.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.silent = False
        self.warnings: list[str] = []
        self._warned: set[str] = set()
        self._pending: list[logging.LogRecord] = []
        self._file: _LogFile | None = None

    def write(self, level: int, text: str) -> None:
        """Writes a line to the log file, or buffers it until the file is opened."""
        record = logging.LogRecord(_logger.name, level, __file__, 0, text, None, None)
        if self._file is None:
            self._pending.append(record)
        else:
            self._file.handle(record)

    def add_warning(self, text: str, *, in_result: bool) -> bool:
        """Records a warning, and returns whether it is new."""
        if self.silent or text in self._warned:
            return False
        self._warned.add(text)
        if in_result and text not in self.warnings:
            self.warnings.append(text)
        self.write(logging.WARNING, text)
        return True

    def continue_from(self, earlier: list[str]) -> None:
        """Prepends the warnings that a run gave before it was interrupted."""
        self.warnings[:] = [*earlier, *(text for text in self.warnings if text not in earlier)]

    @contextlib.contextmanager
    def to_file(self, path: Path) -> Iterator[None]:
        """A context manager in which all lines are appended to a file, including those buffered so far.

        Raises:
            RunError: The file can't be written.
        """
        if self.silent:
            yield
            return
        try:
            self._file = _LogFile(path, encoding="utf-8")
        except OSError as error:
            raise RunError(f"can't be written: {error.strerror}.", where=str(path)) from None
        self._file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        for record in self._pending:
            self._file.handle(record)
        self._pending.clear()
        try:
            yield
        finally:
            self._file.close()
            self._file = None


class _LogFile(logging.FileHandler):
    """A log file that ignores write errors such as a full disk, which the other files of the run report."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Does nothing; the base class would print a traceback."""

    def close(self) -> None:
        with contextlib.suppress(OSError):
            super().close()


_journal: ContextVar[Journal | None] = ContextVar("nnzoo_journal", default=None)
_is_command_line: ContextVar[bool] = ContextVar("nnzoo_is_command_line", default=False)
_shown: ContextVar[set[str] | None] = ContextVar("nnzoo_shown", default=None)


@contextlib.contextmanager
def recording(*, quiet: bool = False) -> Iterator[Journal]:
    """A context manager that yields a journal of this thread's messages."""
    journal = Journal(quiet=quiet)
    token = _journal.set(journal)
    try:
        yield journal
    finally:
        _journal.reset(token)


@contextlib.contextmanager
def console(*, quiet: bool = False) -> Iterator[None]:
    """A context manager that shows progress (unless quiet) and warnings on standard error, for the command line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_ConsoleFormatter())
    handler.setLevel(logging.WARNING if quiet else logging.INFO)
    # Errors are also raised, and the command line prints them at the end.
    handler.addFilter(lambda record: record.levelno < logging.ERROR)
    level, token = _logger.level, _is_command_line.set(True)
    _logger.addHandler(handler)
    _logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        _logger.removeHandler(handler)
        _logger.setLevel(level)
        _is_command_line.reset(token)


@contextlib.contextmanager
def repeated_warnings_hidden() -> Iterator[None]:
    """A context manager in which each warning is shown once, although several runs give and record it."""
    token = _shown.set(set())
    try:
        yield
    finally:
        _shown.reset(token)


class _ConsoleFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return f"warning: {text}" if record.levelno == logging.WARNING else text


def debug(message: str, *args: object) -> None:
    """Logs a message of level DEBUG."""
    _log(logging.DEBUG, message, args)


def info(message: str, *args: object) -> None:
    """Logs progress. A run that is not quiet shows it on standard error, unless the user has configured logging."""
    _log(logging.INFO, message, args)


def error(message: str, *args: object) -> None:
    """Logs an error that is also raised."""
    _log(logging.ERROR, message, args)


def data_warning(message: str, *args: object) -> None:
    """Logs a warning about data that was left out or repaired, or that is probably wrong."""
    _warn(message, args, DataWarning, in_result=True)


def warning(message: str, *args: object, in_result: bool = True) -> None:
    """Logs a warning that is not about the data.

    Args:
        message: The text, with placeholders for the arguments as in `logging`.
        args: The arguments.
        in_result: Whether the warning is saved in the result of the run. If not, it only concerns this process.
    """
    _warn(message, args, NnzooWarning, in_result=in_result)


def shows_progress() -> bool:
    """Whether to show a progress bar: only on a terminal, in a run or command that is not quiet."""
    journal = _journal.get()
    return journal is not None and not journal.quiet and sys.stderr.isatty()


def _log(level: int, message: str, args: tuple[object, ...]) -> None:
    journal = _journal.get()
    if journal is not None:
        text = message % args if args else message
        journal.write(level, text)
        if journal.quiet:
            return
        if logging.INFO <= level < logging.ERROR and not _has_handler(level):
            with contextlib.suppress(OSError):
                sys.stderr.write(f"{text}\n")
            return
    _logger.log(level, message, *args, stacklevel=3)


def _has_handler(level: int) -> bool:
    """Whether lines of this level are handled by a handler of the user or of the command line."""
    logger: logging.Logger | None = _logger
    while logger is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            return _logger.isEnabledFor(level)
        logger = logger.parent if logger.propagate else None
    return False


def _warn(message: str, args: tuple[object, ...], category: type[Warning], *, in_result: bool) -> None:
    text = message % args if args else message
    journal = _journal.get()
    if journal is not None and not journal.add_warning(text, in_result=in_result):
        return
    shown = _shown.get()
    if shown is not None:
        if text in shown:
            return
        shown.add(text)
    if _is_command_line.get():
        _logger.warning("%s", text, stacklevel=3)
    else:
        warnings.warn(text, category, stacklevel=_level_of_caller())


def _level_of_caller() -> int:
    """Returns the `stacklevel` with which `_warn` points at the line that called nnzoo."""
    frame, level, outermost = sys._getframe(1), 1, 1
    while True:
        if frame.f_globals.get("__name__", "").partition(".")[0] == __name__.partition(".")[0]:
            outermost = level
        if frame.f_back is None:
            return outermost + 1
        frame, level = frame.f_back, level + 1
