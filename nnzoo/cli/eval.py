"""`nnzoo eval`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nnzoo.cli.options import (
    BatchSize,
    CheckpointArgument,
    Debug,
    Device,
    Json,
    Quiet,
    RunsDir,
    Threshold,
    Verbose,
    print_json,
    table,
)
from nnzoo.numbers import number

if TYPE_CHECKING:
    from nnzoo.experiment.evaluate.evaluate import EvalResult

MAX_SHOWN_CLASSES = 25


def evaluate(
    checkpoint: CheckpointArgument,
    split: Annotated[
        str | None, typer.Option("--split", metavar="S", help="Split to evaluate: train, val or test.")
    ] = None,
    data: Annotated[str | None, typer.Option("--data", metavar="PATH", help="New labelled file or folder.")] = None,
    batch_size: BatchSize = None,
    device: Device = None,
    fail_under: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-under",
            metavar="METRIC=VALUE",
            help="Exit with code 5 if a metric is worse than VALUE. METRIC is any metric of the task, or SPLIT/METRIC.",
        ),
    ] = None,
    threshold: Threshold = None,
    runs_dir: RunsDir = "runs",
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Evaluate a trained network and the baseline.

    Prints metrics with 95 % confidence intervals, metrics per class, and the confusion matrix.
    """
    from nnzoo.cli.gates import check_gates, parse_gates, split_of

    if split not in (None, "train", "val", "test"):
        from nnzoo.errors import UsageError

        raise UsageError(f"expected train, val or test, got '{split}'.", where="--split")
    gates = parse_gates(fail_under or [])
    split = split_of(gates, split, is_new_data=data is not None)
    from nnzoo.experiment.evaluate.evaluate import evaluate_checkpoint
    from nnzoo.experiment.evaluate.threshold import parse_threshold

    result = evaluate_checkpoint(
        checkpoint,
        split=split,
        data=data,
        metrics=[gate.metric for gate in gates],
        threshold=None if threshold is None else parse_threshold(threshold),
        batch_size=batch_size,
        device=device,
        runs_dir=runs_dir,
    )
    failed = check_gates(gates, result.metrics)
    if as_json and not failed:
        print_json(result.as_dict())
    elif not as_json:
        print(report(result, brief=quiet, every_class=verbose))
    if failed:
        from nnzoo.errors import GateError

        raise GateError(" ".join(failed), where=str(checkpoint), result=result.as_dict())


def report(result: EvalResult, *, brief: bool, every_class: bool) -> str:
    """Returns the result as tables."""
    names = list(result.metrics)
    measured = [number(result.metrics[name]) for name in names]
    ignoring = [number(result.baseline[name]) if name in result.baseline else "" for name in names]
    interval = [result.confidence.get(name) for name in names]
    ends = [
        [f"95 % {word}", *(number(each[side]) if each else "" for each in interval)]
        for side, word in enumerate(("from", "to"))
    ]
    parts = [
        f"{result.checkpoint}: {result.split}, {result.num_samples} samples",
        *([] if result.threshold is None else [result.threshold.describe()]),
        table(["", *names], [["model", *measured], *ends, ["baseline", *ignoring]]),
    ]
    if brief or not result.per_class:
        return "\n\n".join(parts)
    columns = ["precision", "recall", "f1"]
    rows = [
        [entry["class"], *(number(entry[column]) for column in columns), str(entry["support"])]
        for entry in result.per_class
    ]
    parts.append(table(["class", *columns, "support"], rows))
    if every_class or len(result.classes) <= MAX_SHOWN_CLASSES:
        matrix = [[name, *map(str, row)] for name, row in zip(result.classes, result.confusion_matrix, strict=True)]
        parts.append("confusion matrix: true class by row, predicted by column")
        parts.append(table(["", *result.classes], matrix))
    return "\n\n".join(parts)
