"""Runs the command in its arguments and prints seconds, peak memory and exit code as JSON.

A process of its own, because the peak that the system notes for a child begins with that of the parent that forked it.
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

SECONDS_BETWEEN_LOOKS = 0.02


def anonymous_bytes(pid: int) -> int:
    """Memory that belongs to the process alone, without the pages of mapped files; 0 where there is no /proc."""
    with contextlib.suppress(OSError):
        found = re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) * 1024 if found else 0
    return 0


def main() -> None:
    """Waits in one thread and looks in another."""
    start = time.perf_counter()
    process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
    looks = [0]
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(SECONDS_BETWEEN_LOOKS):
            looks[0] = max(looks[0], anonymous_bytes(process.pid))

    watcher = threading.Thread(target=look)
    watcher.start()
    code = process.wait()
    seconds = time.perf_counter() - start
    ended.set()
    watcher.join()
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    print(json.dumps({"seconds": seconds, "peak_bytes": peak, "anonymous_bytes": looks[0], "code": code}))


if __name__ == "__main__":
    main()
