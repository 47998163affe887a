"""Distributed training: under torchrun, and if a process fails, is killed or gets a signal."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from nnzoo.errors import DataError
from nnzoo.experiment.resume.resume import check_shared
from nnzoo.run.artifact import load_artifact
from nnzoo.run.checkpoint import load_checkpoint, save_checkpoint
from nnzoo.run.health import read_health

CONFIG = """
name: x
data: {name: blobs, samples: 120, noise: 3.0}
augment: [{name: noise, sigma: 0.2}]
model: {name: mlp, hidden: [16, 8], batch_norm: true, dropout: 0.2}
optimizer: {name: sgd, lr: 0.01, momentum: 0.9}
train: {epochs: 100000, batch_size: 16, early_stopping: null, metrics: [accuracy, auroc]}
"""
STEPS = 6
"""Steps per epoch."""

Life = tuple[int, str, str]
"""Exit code, standard output and error of a process."""
Start = Callable[..., list[Life]]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(CONFIG)


@pytest.fixture(scope="module")
def forks() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(Path(__file__).with_name("forks.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as server:
        yield server
        assert server.stdin
        server.stdin.close()


@pytest.fixture
def group(forks: subprocess.Popen[str]) -> Start:
    """Runs `nnzoo train c.yaml` in a process group, with an optional event for one rank after a step."""

    def start(
        *options: str, processes: int = 2, rank: int = 0, step: int = 0, what: str = "", lives: int = 1
    ) -> list[Life]:
        assert forks.stdin
        assert forks.stdout
        request = {"arguments": ["train", "c.yaml", *options], "folder": str(Path.cwd()), "processes": processes}
        request |= {"rank": rank, "step": step, "what": what, "lives": lives}
        print(json.dumps(request), file=forks.stdin, flush=True)
        return [(code, out, err) for code, out, err in json.loads(forks.stdout.readline())]

    return start


def torchrun(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "nnzoo"]
    return subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )


def outcome(folder: Path) -> dict[str, Any]:
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [{**row, "seconds": ""} for row in csv.DictReader(file)]
    assert not list(folder.glob(".*"))
    return {"rows": rows, "best": (folder / "best.safetensors").read_bytes()}


@pytest.mark.slow
def test_a_signal_to_torchrun_writes_a_checkpoint_to_resume_from(group: Start) -> None:
    process = torchrun("train", "c.yaml")
    assert process.stderr
    for line in process.stderr:
        if line.startswith("epoch      2/"):
            break
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert err.count("nnzoo: interrupted in epoch") == 1
    assert out.count("Total params") == 1
    result = json.loads(Path("runs/x/result.json").read_text())
    assert result["status"] == "interrupted"
    epochs = result["epochs"] + 2
    for options in (["--resume"], ["--name", "whole"]):
        (code, out, err), other = group(f"train.epochs={epochs}", *options)
        assert code == 0, err
        assert out.count("run directory: ") == 1
        assert other == (0, "", "")
    assert len(outcome(Path("runs/x"))["rows"]) == epochs
    assert outcome(Path("runs/x")) == outcome(Path("runs/whole"))
    assert sorted(path.name for path in Path("runs").iterdir()) == ["whole", "x"]
    assert json.loads(Path("runs/x/environment.json").read_text())["num_processes"] == 2


@pytest.mark.slow
def test_under_torchrun_a_common_error_is_printed_once() -> None:
    process = torchrun("train", "c.yaml", "data={name: csv, path: no.csv, target: t}", "--json")
    out, err = process.communicate(timeout=120)
    assert json.loads(out)["error"]["kind"] == "data"
    assert "nnzoo:" not in err
    assert err.count("Traceback") == 1  # from torchrun
    assert not Path("runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_rank_stops_all_ranks_at_the_same_step(rank: int, group: Start) -> None:
    number = [signal.SIGINT, signal.SIGTERM][rank]
    first, second = group("--json", rank=rank, step=2 * STEPS + 3, what=number.name)
    assert (first[0], second[0]) == (128 + number, 128 + number)
    printed = json.loads(first[1])
    assert printed["error"]["kind"] == "interrupted"
    assert second == (128 + number, "", "")
    saved = load_checkpoint(Path("runs/x/last.safetensors"))
    assert (saved["epoch"], saved["batch"]) == (2, 4)  # the others get it in the next step
    assert group("train.epochs=4", "--resume")[0][0] == group("train.epochs=4", "--name", "whole")[0][0] == 0
    assert outcome(Path("runs/x")) == outcome(Path("runs/whole"))


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1, 2])
def test_a_process_that_dies_ends_the_others_with_one_line(victim: int, group: Start) -> None:
    found = group(processes=3, rank=victim, step=STEPS + 1, what="SIGKILL")
    assert found.pop(victim)[0] == -signal.SIGKILL
    assert [code for code, *_ in found] == [1, 1]
    [said] = [line for *_, err in found for line in err.splitlines() if line.startswith("nnzoo:")]
    assert said.startswith("nnzoo: a process of the group ended or can't be reached")
    assert said.endswith("the same command with --resume continues.")
    assert "Traceback" not in found[0][2] + found[1][2]
    saved = load_checkpoint(Path("runs/x/last.safetensors"))
    assert (saved["step"], len(saved["ranks"])) == (0, 2)
    assert group("train.epochs=2", "--resume", processes=3)[0][0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_restarted_processes_rendezvous_and_print_why_they_end(victim: int, group: Start) -> None:
    found = group("--resume", rank=victim, step=STEPS + 1, what="SIGKILL", lives=2)
    for life in (found[:2], found[2:]):
        assert life.pop(victim)[0] == -signal.SIGKILL
        [(code, _, err)] = life
        assert code == 1
        [said] = [line for line in err.splitlines() if line.startswith("nnzoo:")]
        assert said.startswith("nnzoo: a process of the group ended or can't be reached")
    assert group("train.epochs=3", "--resume")[0][0] == 0


@pytest.mark.slow
def test_a_repeated_sigterm_keeps_the_checkpoint(group: Start) -> None:
    first, second = group("-q", rank=1, step=STEPS + 2, what="SIGTERM SIGTERM")
    assert (first[0], second[0]) == (143, 143)
    assert json.loads(Path("runs/x/result.json").read_text())["status"] == "interrupted"
    saved = load_checkpoint(Path("runs/x/last.safetensors"))
    assert (saved["epoch"], saved["batch"]) == (1, 3)


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 3)])
def test_resuming_with_another_number_of_processes_keeps_the_sums(before: int, after: int, group: Start) -> None:
    plain = ["augment=[]", "model.dropout=0", "train.epochs=1"]
    # A group reacts to a signal one step later.
    group(*plain, processes=before, step=4 - (before > 1), what="SIGTERM")
    assert load_checkpoint(Path("runs/x/last.safetensors"))["batch"] == 4
    (code, _, err), *others = group(*plain, "--resume", processes=after)
    assert code == 0, err
    warning = f"warning: the run was started with {before} processes and continues with {after}"
    assert err.count(warning) == 1
    assert all(other == (0, "", "") for other in others)
    group(*plain, "--name", "whole", processes=1)
    rows = [outcome(Path("runs") / name)["rows"][0] for name in ("x", "whole")]
    found, expected = ([float(value) for value in row.values() if value] for row in rows)
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
def test_a_checkpoint_with_invalid_rank_states_is_refused(group: Start) -> None:
    group(step=3, what="SIGTERM")
    path = Path("runs/x/last.safetensors")
    saved = load_checkpoint(path)
    [share] = saved["ranks"]
    foreign: list[Any] = [7, ["x"], [{}], [{**share, "rng": 1}], [{**share, "train_loss": ["a", 1.0]}]]
    for ranks in foreign:
        save_checkpoint(path, {**saved, "ranks": ranks})
        first, second = group("--resume")
        assert first[0] == second[0] == 1
        assert "does not fit this run" in first[2]
        assert "Traceback" not in first[2]
        assert second[1:] == ("", "")


@pytest.mark.slow
def test_a_common_error_is_printed_by_rank_0_and_a_single_one_by_its_rank(group: Start) -> None:
    (code, out, err), other = group("optimizer.lrr=1")
    assert (code, out) == (2, "")
    assert err.startswith("override optimizer.lrr=1: optimizer.lrr: unknown key.")
    assert other == (2, "", "")
    (code, out, err), other = group("--resum")
    assert (code, out) == (2, "")
    assert err.startswith("nnzoo: there is no option --resum. Did you mean --resume?")
    assert other == (2, "", "")
    first, second = group("-q", rank=1, step=5, what="out of memory")
    assert first == (1, first[1], "")
    assert second == (1, "", "nnzoo: rank 1: out of memory. Try a smaller train.batch_size or model.\n")


@pytest.mark.slow
def test_divergence_stops_all_ranks(group: Start) -> None:
    first, second = group("optimizer.lr=1e30", "model.batch_norm=false", "-q", "--json")
    printed = json.loads(first[1])
    assert printed["error"]["kind"] == "diverged"
    assert "in epoch 1, step 2" in printed["error"]["message"]
    assert "last gradient norm" in printed["error"]["message"]
    assert (first[0], printed["status"]) == (4, "diverged")
    assert second == (4, "", "")


@pytest.mark.slow
def test_divergence_with_one_sample_per_rank_and_batch_norm(group: Start) -> None:
    first, second = group("optimizer.lr=1e30", "train.batch_size=2", "-q", "--json")
    assert (first[0], json.loads(first[1])["status"]) == (4, "diverged"), first
    assert second == (4, "", "")


@pytest.mark.slow
def test_batch_norm_needs_one_sample_per_rank(group: Start) -> None:
    found = group("train.batch_size=2", processes=3)
    assert [code for code, *_ in found] == [2, 2, 2]
    assert "batch norm needs at least one sample for each of 3 processes (got 2 of 84 training samples)." in found[0][2]
    assert group("train.batch_size=3", "train.epochs=1", processes=3)[0][0] == 0


@pytest.mark.slow
def test_restarts_resume_only_in_the_mode_they_started_in(group: Start) -> None:
    plain = ["augment=[]", "train.restarts=2", "train.epochs=3"]
    group(*plain, processes=1, step=3, what="SIGTERM")
    first, second = group(*plain, "--resume")
    assert (first[0], second) == (2, (2, "", ""))
    assert first[2].endswith("the restarts were trained as a batch in one process. Resume the run without torchrun.\n")
    group(*plain, "--overwrite", step=3 * STEPS + 3, what="SIGTERM")
    [(code, _, err)] = group(*plain, "--resume", processes=1)
    assert code == 2
    assert err.endswith("the restarts were trained by several processes. Resume the run with torchrun.\n")
    assert group(*plain, "--resume")[0][0] == group(*plain, "--name", "whole")[0][0] == 0
    assert outcome(Path("runs/x")) == outcome(Path("runs/whole"))


@pytest.mark.slow
def test_a_dry_run_writes_no_files(group: Start) -> None:
    first, second = group("--dry-run")
    assert first[0] == 0
    assert "no files were written" in first[1]
    assert second == (0, "", "")
    assert not Path("runs").exists()


def test_all_processes_read_the_same_data() -> None:
    check_shared([{"train": "a"}, {"train": "a"}])
    with pytest.raises(DataError, match="rank 1 reads different data than rank 0"):
        check_shared([{"train": "a"}, {"train": "b"}])


@pytest.mark.slow
def test_probes_and_events_of_rank_0_do_not_change_the_weights(group: Start) -> None:
    """Gradients and updates are those of all processes, so they are those of one process up to rounding."""
    plain = ["augment=[]", "model.dropout=0", "train.epochs=4"]
    assert [code for code, *_ in group(*plain)] == [0, 0]
    assert group(*plain, "train.probes=false", "train.log=[tensorboard]", "--name", "off")[0][0] == 0
    assert len(list(Path("runs/off/tensorboard").glob("events.*"))) == 1
    assert group(*plain, "--name", "single", processes=1)[0][0] == 0
    group(*plain, "--name", "parts", rank=1, step=STEPS + 2, what="SIGTERM")
    assert group(*plain, "--name", "parts", "--resume")[0][0] == 0
    on, off = (load_artifact(Path("runs") / name / "best.safetensors").weights for name in ("x", "off"))
    assert on.keys() == off.keys()
    assert all(torch.equal(on[key], off[key]) for key in on)
    assert Path("runs/parts/health.csv").read_bytes() == Path("runs/x/health.csv").read_bytes()
    both, alone = (read_health(Path("runs") / name / "health.csv") for name in ("x", "single"))
    assert [(row.epoch, row.step, row.layer) for row in both] == [(row.epoch, row.step, row.layer) for row in alone]
    assert {row.epoch for row in both} == {1, 3}
    for one, other in zip(both, alone, strict=True):
        assert one.gradient_norm == pytest.approx(other.gradient_norm, rel=1e-3)
        assert one.update_ratio == pytest.approx(other.update_ratio, rel=1e-3)
        assert one.activation_variance > 0
