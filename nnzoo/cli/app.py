"""The command line: registers the commands and prints errors."""

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
from nnzoo.cli import (
    compare,
    doctor,
    explain,
    export,
    init,
    lesson,
    lr_find,
    predict,
    ranks,
    report,
    schema,
    summary,
    sweep,
    trace,
    train,
    validate,
    verify,
)
from nnzoo.cli import eval as eval_command
from nnzoo.cli import list as list_command
from nnzoo.cli.options import print_json
from nnzoo.errors import NnzooError, UsageError

INTERRUPTED = 130
GLOBAL_OPTIONS = ("--json", "-q", "--quiet", "-v", "--verbose", "--debug")
"""Options that every command has."""

app = typer.Typer(
    name="nnzoo",
    help="Train, evaluate and use neural networks that are defined in short YAML files.",
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
app.command("report")(report.report)
app.command("compare")(compare.compare)
app.command("export")(export.export)
app.command("lesson")(lesson.lesson)
app.command("lr-find")(lr_find.lr_find)
app.command("trace")(trace.trace)
app.command("sweep")(sweep.sweep)
app.command("list")(list_command.list_)
app.command("explain")(explain.explain)
app.command("init")(init.init)
app.command("verify")(verify.verify)
app.command("schema")(schema.schema)


def _print_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        print(version("nnzoo"))
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Global options of the program."""


def run(arguments: Sequence[str]) -> int:
    """Runs a command and returns its exit code. Errors are printed without a traceback, except with --debug."""
    if not arguments:
        arguments = ["--help"]
    as_json, debug = _is_json(arguments), "--debug" in arguments
    try:
        with ranks.only_rank_zero_prints(), log.console(quiet=not {"-q", "--quiet"}.isdisjoint(arguments)):
            code = int(app(_reordered(arguments), prog_name="nnzoo", standalone_mode=False) or 0)
        sys.stdout.flush()
        if code != INTERRUPTED:
            return code
        raised: BaseException = KeyboardInterrupt()
    except (BrokenPipeError, SystemExit) as error:
        # The reader closed the pipe. Python would raise again on the final flush of stdout.
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        raised = error
    if debug:
        traceback.print_exception(raised)
    failure = _failure(raised)
    ranks.report(failure, partial(_report, as_json=as_json))
    return failure.exit_code


def _is_json(arguments: Sequence[str]) -> bool:
    """Whether standard output is one JSON object: with --json, or `--format json` of trace."""
    pairs = itertools.pairwise(arguments)
    return "--json" in arguments or "--format=json" in arguments or ("--format", "json") in pairs


def _reordered(arguments: Sequence[str]) -> list[str]:
    """Moves global options that precede the command name to after it, so that `nnzoo --json list` works."""
    leading = list(itertools.takewhile(GLOBAL_OPTIONS.__contains__, arguments))
    rest = list(arguments[len(leading) :])
    return [*rest[:1], *leading, *rest[1:]] if rest and not rest[0].startswith("-") else [*rest]


def _failure(error: BaseException) -> NnzooError:
    """Converts an exception to the error that is printed."""
    if isinstance(error, NnzooError):
        return error
    if isinstance(error, typer.TyperException):
        command = getattr(getattr(error, "ctx", None), "command_path", "nnzoo")
        message = _no_such_option(error) if hasattr(error, "option_name") else error.format_message()
        end = "" if message.endswith((".", "?")) else "."
        return UsageError(f"{message}{end} `{command} --help` lists the options.")
    if isinstance(error, KeyboardInterrupt):
        failure = NnzooError("interrupted before training started.")
        failure.exit_code, failure.kind = INTERRUPTED, "interrupted"
        return failure
    if isinstance(error, MemoryError):
        return NnzooError("out of memory. Try a smaller train.batch_size or model.")
    if isinstance(error, OSError):
        return NnzooError(f"{error.strerror or error}.", where=str(error.filename or ""))
    return _unexpected(error)


def _no_such_option(error: typer.TyperException) -> str:
    """Returns the message for an unknown option. A frequent cause is a config key written as an option."""
    from nnzoo.config.suggest import nearest

    name, parameters = getattr(error, "option_name", ""), error.ctx.command.params  # type: ignore[attr-defined]
    options = [option.lstrip("-") for each in parameters for option in each.opts if option.startswith("--")]
    meant = nearest(name.lstrip("-"), options)
    hint = f" Did you mean --{meant}?" if meant else ""
    if not meant and any(each.name == "overrides" for each in parameters):
        hint = " A config key is set without dashes, such as optimizer.lr=0.1 or train.epochs=5."
    return f"there is no option {name}.{hint}"


def _unexpected(error: BaseException) -> NnzooError:
    """Converts out-of-memory errors of torch; any other exception is a bug in nnzoo."""
    if type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error):
        return NnzooError("out of memory. Try a smaller train.batch_size or model, or train.device: cpu.")
    first_line = str(error).split("\n")[0]
    return NnzooError(
        f"unexpected {type(error).__name__}: {first_line}. This is a bug in nnzoo; --debug shows the traceback."
    )


def _report(failure: NnzooError, *, as_json: bool) -> None:
    if not as_json:
        print(f"nnzoo: {failure}" if failure.kind != "config" else failure, file=sys.stderr)
        return
    report: dict[str, Any] = {"error": {"kind": failure.kind, "message": failure.message, "where": failure.where}}
    report |= getattr(failure, "result", None) or {}
    print_json(report)
