"""Cores of a process, from control groups of both versions, inside and outside of a container."""

import os
from pathlib import Path

import pytest

from nnzoo.run.cores import available_cores


@pytest.mark.parametrize(
    ("own", "limits", "expected"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "20000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
        ("0::/\n", {"cpu.max": "6400000 100000\n"}, 8),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n"}, 3),
        ("0::/elsewhere\n", {"cpu.max": "300000 100000\n"}, 3),
        ("1:cpu,cpuacct:/a\n0::/\n", {"cpu/a/cpu.cfs_quota_us": "250000\n", "cpu/a/cpu.cfs_period_us": "100000\n"}, 3),
        ("1:cpu:/a\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ("1:cpuset:/\n", {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ("0::/\n", {"cpu.max": "damaged"}, 8),
        (None, {}, 8),
    ],
)
def test_cores_follow_the_smallest_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str | None, limits: dict[str, str], expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {*range(8)}, raising=False)
    for path, text in {
        **{f"sys/fs/cgroup/{name}": text for name, text in limits.items()},
        "proc/self/cgroup": own,
    }.items():
        if text is not None:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
    assert available_cores(tmp_path) == expected


def test_cores_are_limited_by_the_scheduler() -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
