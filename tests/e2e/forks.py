"""Starts process groups as torchrun does. Each process is a fork of this one, because importing torch is slow.

Reads one request per line: arguments of `nnzoo`, folder, an event for one rank at one step, and how often the group is
started. Answers with one line: exit code, standard output and error of each process.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from torch.distributed import TCPStore  # type: ignore[attr-defined]  # not exported by torch

from nnzoo.__main__ import main
from nnzoo.cli.app import run
from nnzoo.training.progress import Progress


def at_step(number: int, action: Callable[[], None]) -> None:
    """Runs an action after a number of steps."""
    count = 0

    def step(self: Progress) -> None:
        nonlocal count
        count += 1
        if count == number:
            action()

    Progress.step = step  # type: ignore[method-assign]


def trigger(what: str) -> None:
    if what == "out of memory":
        raise MemoryError
    for name in what.split():
        os.kill(os.getpid(), getattr(signal, name))


def run_process(request: dict[str, Any], attempt: int, rank: int, port: int, out: int, err: int) -> None:
    """Runs one process of a group."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.chdir(request["folder"])
    size = str(request["processes"])
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": size, "MASTER_ADDR": "localhost"}
    os.environ |= {"MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    os.environ["TORCHELASTIC_RESTART_COUNT"] = str(attempt)
    if rank == request["rank"]:
        at_step(request["step"], lambda: trigger(request["what"]))
    sys.argv = ["nnzoo", *request["arguments"]]
    code = 1
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.stdout.flush()
        os._exit(code)


def serve() -> None:
    # Trigger all lazy imports before forking.
    with contextlib.redirect_stdout(io.StringIO()):
        run(["train", "xor_mlp", "-q", "--dry-run"])
    for line in sys.stdin:
        request = json.loads(line)
        store = TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
        answer = []
        for attempt in range(request["lives"]):
            started = []
            for rank in range(request["processes"]):
                files = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115
                child = os.fork()
                if not child:
                    run_process(request, attempt, rank, store.port, *(file.fileno() for file in files))
                started.append((child, files))
            for child, files in started:
                code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                for file in files:
                    file.seek(0)
                answer.append([code, *(file.read().decode() for file in files)])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve()
