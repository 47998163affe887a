"""Runs sweeps in processes that are killed. Each process is a fork of this one, because importing torch is slow.

Reads one request per line: folder, arguments, and for each process the step of the optimizer at which it kills itself
with SIGKILL, or interrupts itself with SIGINT. Answers with one line: exit code and standard error of each process.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
import tempfile
from typing import Any

from nnzoo.cli.app import run
from nnzoo.training.progress import Progress


def at_step(number: int, kind: str) -> None:
    count = 0

    def step(self: Progress) -> None:
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), getattr(signal, kind))

    Progress.step = step  # type: ignore[method-assign]


def start(request: dict[str, Any], event: list[Any] | None, err: int) -> int:
    child = os.fork()
    if child:
        return child
    os.dup2(err, 2)
    os.dup2(err, 1)
    os.chdir(request["folder"])
    if event:
        at_step(*event)
    code = 1
    try:
        code = run(request["arguments"])
    finally:
        sys.stdout.flush()
        os._exit(code)


def serve() -> None:
    # Trigger all lazy imports before forking.
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        run(["sweep", "xor_mlp", "optimizer.lr=0.1,0.2", "train.epochs=1", "-q", "--runs-dir", folder])
    for line in sys.stdin:
        request = json.loads(line)
        started = []
        for event in request["events"]:
            file = tempfile.TemporaryFile()  # noqa: SIM115
            started.append((start(request, event, file.fileno()), file))
        answer = []
        for child, file in started:
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            file.seek(0)
            answer.append([code, file.read().decode()])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve()
