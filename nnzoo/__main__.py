"""`python -m nnzoo` is `nnzoo`."""

from __future__ import annotations

import gc
import io
import sys


def main() -> None:
    """Runs the command line and exits with its code."""
    # By default Python looks for garbage every 700 objects: a fifth of the time that torch takes to be imported.
    gc.set_threshold(100_000)
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal can't show is no reason to fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        from nnzoo.cli.app import run

        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
