"""The errors of nnzoo, with their exit codes on the command line.

NnzooError                 1  the base class of all errors that are not bugs in nnzoo
├── UsageError             2  the arguments of a command or a call are wrong
│   └── ConfigError        2  a config is invalid; the error lists all problems of the file
├── DataError              3  the data is missing, damaged, or does not fit the task
├── DivergedError          4  the loss is no longer finite
├── GateError              5  a requested check did not pass
├── RunError               1  the run directory can't be written, or has unexpected content
│   └── CheckpointError    1  a checkpoint or an artifact is damaged, not written by nnzoo, or of a different version
├── GroupError             1  another process of the same run failed or has ended
└── InterruptedRunError  130  SIGINT (143: SIGTERM), after a checkpoint was written

Warnings are Python warnings in the API, and lines that begin with `warning:` on the command line:

NnzooWarning     a setting that has no effect, or that changes the result in an unexpected way
└── DataWarning  data that was left out or repaired, or that is probably wrong
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class NnzooError(Exception):
    """The base class of the errors, with a message of one line for the user.

    Args:
        message: What is wrong, what was given, what is expected, and the fix.
        where: The file, key, option or step that the message is about; empty if the message itself names it.
    """

    exit_code = 1
    kind = "error"

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class UsageError(NnzooError):
    """The arguments of a command or of a Python call are wrong."""

    exit_code = 2
    kind = "usage"


MAX_SHOWN_PROBLEMS = 100
"""Maximum number of problems of a config that are shown: a hostile file could have a million."""


class ConfigError(UsageError):
    """A config can't be used.

    Args:
        problems: One message per problem, each with its location, in the order of the file.
        where: The location of the first problem (`file:line:column` or the override).
    """

    kind = "config"

    def __init__(self, problems: Sequence[str], *, where: str = "") -> None:
        left = len(problems) - MAX_SHOWN_PROBLEMS
        shown = [*problems[:MAX_SHOWN_PROBLEMS], *([f"... and {left} more"] if left > 0 else [])]
        super().__init__("\n".join(shown), where=where)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return self.message


class DataError(NnzooError):
    """The data is missing, damaged, or can't be used for the task."""

    exit_code = 3
    kind = "data"


class DivergedError(NnzooError):
    """The training loss is NaN or infinite.

    Attributes:
        result: The content of result.json, once it has been written.
    """

    exit_code = 4
    kind = "diverged"
    result: Mapping[str, object] | None = None


class GateError(NnzooError):
    """A requested check did not pass, such as `--fail-under`.

    Args:
        message: The check that did not pass.
        where: The checkpoint or config.
        result: The measured values.
    """

    exit_code = 5
    kind = "gate"

    def __init__(self, message: str, *, where: str = "", result: Mapping[str, object]) -> None:
        super().__init__(message, where=where)
        self.result = result


class RunError(NnzooError):
    """The run directory can't be created, read or written."""

    kind = "run"


class CheckpointError(RunError):
    """A checkpoint or an artifact is damaged, was not written by nnzoo, or is of a different version."""

    kind = "checkpoint"


class GroupError(NnzooError):
    """Another process of the same run failed or has ended.

    Args:
        message: The cause, as far as it is known.
        printed_elsewhere: Whether another process prints the message, so that this one does not.
        exit_code: The exit code of the process that failed.
    """

    kind = "group"

    def __init__(self, message: str, *, printed_elsewhere: bool = False, exit_code: int = 1) -> None:
        super().__init__(message)
        self.printed_elsewhere = printed_elsewhere
        self.exit_code = exit_code


class InterruptedRunError(NnzooError):
    """Training was stopped by a signal, after a checkpoint was written.

    Args:
        message: Which files were written, and how to continue.
        signal_number: The signal: SIGINT has exit code 130, SIGTERM 143.
        result: The content of result.json.
    """

    kind = "interrupted"

    def __init__(self, message: str, *, signal_number: int, result: Mapping[str, object]) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number
        self.result = result


class NnzooWarning(UserWarning):
    """The base category of the warnings of nnzoo."""


class DataWarning(NnzooWarning):
    """Data was left out or repaired, or is probably wrong."""
