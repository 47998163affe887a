"""Two processes and one have the same global batches, weights and metrics."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import distributed_cases
import pytest
import torch

from nnzoo.builders import choose_device
from nnzoo.errors import GroupError, UsageError
from nnzoo.training.processes.group import ProcessGroup, connection_errors

PROGRAM = distributed_cases.__file__


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the cases: in `one` and in `two` processes, and with `overlapped` communication in two."""
    top = tmp_path_factory.mktemp("distributed")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for name, start, overlapping in (
        ("one", [sys.executable], []),
        ("two", torchrun, []),
        ("overlapped", torchrun, ["cpu"]),
    ):
        (top / name).mkdir()
        distributed_cases.write_data(top / name)
        done = subprocess.run(
            [*start, PROGRAM, ".", *overlapping],
            cwd=top / name,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    return top


def result_of(folder: Path, name: str, rank: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(folder / f"{name}.{rank}.pt", weights_only=True)
    return found


def numbers(rows: list[dict[str, float]]) -> list[float]:
    return [value for row in rows for key, value in row.items() if key != "seconds"]


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["two", "overlapped"])
@pytest.mark.parametrize("name", distributed_cases.CASES)
def test_two_processes_have_the_same_result_as_one(name: str, processes: str, folder: Path) -> None:
    one = result_of(folder / "one", name)
    two, second = (result_of(folder / processes, name, rank) for rank in (0, 1))
    exact = next(iter(one["weights"].values())).dtype == torch.float64
    assert exact == name.endswith("double")
    for key, weight in one["weights"].items():
        torch.testing.assert_close(two["weights"][key], weight, rtol=0, atol=1e-8 if exact else 1e-5)
        assert second["weights"][key].equal(two["weights"][key])
    assert numbers(two["rows"]) == pytest.approx(numbers(one["rows"]), rel=1e-6, abs=1e-6, nan_ok=True)
    assert second["rows"] == two["rows"]
    assert second["result"] == two["result"]
    assert two["result"]["metrics"] == pytest.approx(one["result"]["metrics"], rel=1e-5)


@pytest.mark.slow
def test_the_cases_have_the_intended_properties(folder: Path) -> None:
    steps = {name: result_of(folder / "two", name)["rows"][-1]["step"] for name in distributed_cases.CASES}
    assert steps["empty_share"] == steps["joined_batch"] + 1 == 13
    assert steps["accumulated"] == 5
    restarts = result_of(folder / "two", "restarts")["result"]["restarts"]
    assert (restarts["how"], restarts["reason"]) == ("one after another", "several processes train each of them")
    assert result_of(folder / "one", "restarts")["result"]["restarts"]["how"] == "batched"
    unused = result_of(folder / "two", "sometimes_used")["weights"]["third.weight"]
    torch.manual_seed(5)
    assert unused.equal(distributed_cases.SometimesUsed().third.weight)


@pytest.mark.slow
def test_invalid_gradients_in_one_process_end_all_processes(folder: Path) -> None:
    for rank in (0, 1):
        found = result_of(folder / "two", "diverging", rank)
        assert "in epoch 1, step 1" in found["error"]
        assert found["result"]["status"] == "diverged"


def test_each_process_needs_its_own_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    group = ProcessGroup(6, 8, None)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert choose_device("auto", group) == torch.device("cuda:1")
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(UsageError, match=r"4 processes on this machine, but only 2 CUDA devices, and each"):
        choose_device("auto", group)


def test_unusual_messages_of_torch_are_included_in_the_error() -> None:
    with (
        pytest.raises(GroupError, match=r"continues\. \(torch: NCCL error: invalid usage\)$") as caught,
        connection_errors(),
    ):
        raise RuntimeError("NCCL error: invalid usage\nand more")
    assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(GroupError, match=r"continues\.$"), connection_errors():
        raise RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:1")
