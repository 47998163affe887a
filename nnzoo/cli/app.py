"""The command line: its commands, and how errors are shown."""

from __future__ import annotations

import itertools
import os
import sys
import traceback
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

import typer

from nnzoo import log
from nnzoo.cli import doctor, init, predict, schema, several, summary, train, validate
from nnzoo.cli import eval as eval_command
from nnzoo.cli import list as list_command
from nnzoo.cli.options import print_json
from nnzoo.errors import NnzooError, UsageError

INTERRUPTED = 130
EVERYWHERE = ("--json", "-q", "--quiet", "-v", "--verbose", "--debug")
"""Options of every command."""

app = typer.Typer(
    name="nnzoo",
    help="A short YAML file becomes a trained, evaluated, summarised neural network.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train")(train.train)
app.command("eval")(eval_command.evaluate)
app.command("predict")(predict.predict)
app.command("summary")(summary.summary)
app.command("validate")(validate.validate)
app.command("doctor")(doctor.doctor)
app.command("list")(list_command.list_)
app.command("init")(init.init)
app.command("schema")(schema.schema)


def _print_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        print(version("nnzoo"))
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the program itself."""


def run(arguments: Sequence[str]) -> int:
    """Runs a command and returns its exit code. A user's mistake never shows a traceback."""
    if not arguments:
        arguments = ["--help"]
    as_json, debug = "--json" in arguments, "--debug" in arguments
    try:
        with several.first_prints(), log.console(quiet=not {"-q", "--quiet"}.isdisjoint(arguments)):
            code = int(app(_arranged(arguments), prog_name="nnzoo", standalone_mode=False) or 0)
        sys.stdout.flush()
        if code != INTERRUPTED:
            return code
        raised: BaseException = KeyboardInterrupt()
    except (BrokenPipeError, SystemExit) as error:
        # The reader of the output has closed it. Python would report that again when it flushes; typer prevents it.
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        raised = error
    if debug:
        traceback.print_exception(raised)
    failure = _failure(raised)
    several.report(failure, partial(_report, as_json=as_json))
    return failure.exit_code


def _arranged(arguments: Sequence[str]) -> list[str]:
    """Lets options of every command stand before its name as well: `nnzoo --json list`."""
    leading = list(itertools.takewhile(EVERYWHERE.__contains__, arguments))
    rest = list(arguments[len(leading) :])
    return [*rest[:1], *leading, *rest[1:]] if rest and not rest[0].startswith("-") else [*rest]


def _failure(error: BaseException) -> NnzooError:
    """Turns an exception into the error that the user sees."""
    if isinstance(error, NnzooError):
        return error
    if isinstance(error, typer.TyperException):
        command = getattr(getattr(error, "ctx", None), "command_path", "nnzoo")
        message = error.format_message()
        end = "" if message.endswith((".", "?")) else "."
        return UsageError(f"{message}{end} `{command} --help` lists the options.")
    if isinstance(error, KeyboardInterrupt):
        failure = NnzooError("interrupted before anything was trained.")
        failure.exit_code, failure.kind = INTERRUPTED, "interrupted"
        return failure
    if isinstance(error, MemoryError):
        return NnzooError("out of memory. Try a smaller train.batch_size or model.")
    if isinstance(error, OSError):
        return NnzooError(f"{error.strerror or error}.", where=str(error.filename or ""))
    return _unexpected(error)


def _unexpected(error: BaseException) -> NnzooError:
    """Recognises torch's own errors for lack of memory; anything else is a bug of nnzoo."""
    if type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error):
        return NnzooError("out of memory. Try a smaller train.batch_size or model, or train.device: cpu.")
    first_line = str(error).split("\n")[0]
    return NnzooError(
        f"unexpected {type(error).__name__}: {first_line}. This is a bug of nnzoo; --debug shows the traceback."
    )


def _report(failure: NnzooError, *, as_json: bool) -> None:
    if not as_json:
        print(f"nnzoo: {failure}" if failure.kind != "config" else failure, file=sys.stderr)
        return
    report: dict[str, Any] = {"error": {"kind": failure.kind, "message": failure.message, "where": failure.where}}
    report |= getattr(failure, "result", None) or {}
    print_json(report)
