"""Runs the command in its arguments and prints seconds, peak memory and exit code as JSON.

This is a separate small process, because the peak memory of a child includes that of the parent that forked it.
"""

import contextlib
import json
import re
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

SAMPLING_SECONDS = 0.02


def anonymous_bytes(pid: int) -> int:
    """Returns the memory of a process without mapped files; 0 without /proc."""
    with contextlib.suppress(OSError):
        found = re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) * 1024 if found else 0
    return 0


def main() -> None:
    """Waits for the command while a thread samples its memory."""
    start = time.perf_counter()
    process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
    peak_anonymous = [0]
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(SAMPLING_SECONDS):
            peak_anonymous[0] = max(peak_anonymous[0], anonymous_bytes(process.pid))

    watcher = threading.Thread(target=sample)
    watcher.start()
    code = process.wait()
    seconds = time.perf_counter() - start
    ended.set()
    watcher.join()
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    print(json.dumps({"seconds": seconds, "peak_bytes": peak, "anonymous_bytes": peak_anonymous[0], "code": code}))


if __name__ == "__main__":
    main()
