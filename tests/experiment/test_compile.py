"""train.compile: one shape of training and one of validation are compiled, and what can't be is trained without."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import nnzoo
import nnzoo.api  # the fixtures of all tests switch off its diagnosis only if it is loaded
from nnzoo.cli.app import run as command
from nnzoo.errors import InterruptedRunError
from nnzoo.experiment.evaluate.evaluate import evaluate_checkpoint
from nnzoo.experiment.threads import use_threads
from nnzoo.experiment.train.finished import Run
from nnzoo.run.checkpoint import load_checkpoint
from nnzoo.training.precision.compile import MAX_REASON, Compiled, reason_of

BASE: dict[str, Any] = {
    "name": "x",
    "data": {"name": "blobs", "samples": 120, "noise": 3.0},
    "model": {"name": "mlp", "hidden": [8, 6], "batch_norm": True, "dropout": 0.3},
    "train": {"epochs": 3, "batch_size": 16, "early_stopping": None},
}
ON = {"train.compile": True}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def train(runs_dir: str, overrides: dict[str, Any] | None = None, **options: Any) -> Run:
    return nnzoo.train(BASE, overrides=overrides or {}, runs_dir=runs_dir, quiet=True, **options)


def weights(run: Run) -> dict[str, Tensor]:
    found: dict[str, Tensor] = load_checkpoint(run.run_dir / "last.safetensors")["model"]
    return found


def same(first: Run, second: Run) -> bool:
    """Returns the weights and metadata without the config, which has `compile`."""
    states = weights(first), weights(second)
    return states[0].keys() == states[1].keys() and all(
        torch.equal(x, states[1][name]) for name, x in states[0].items()
    )


class Network:
    """Replaces torch.compile: calls the network and records the calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[bool, int]] = []
        self.threads: list[int] = []
        self.options: dict[str, Any] = {}

    def __call__(self, network: nn.Module, **options: Any) -> Callable[..., Tensor]:
        self.options = options

        def call(*inputs: Tensor) -> Tensor:
            self.calls.append((network.training, len(inputs[0])))
            self.threads.append(torch.get_num_threads())
            outputs: Tensor = network(*inputs)
            return outputs

        return call


def test_compiling_changes_no_state_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling before training changes no weight, batch norm statistic or random state."""
    compiler = Network()
    plain = train("plain")
    monkeypatch.setattr(torch, "compile", compiler)
    compiled = train("compiled", ON)
    assert same(plain, compiled)
    assert plain.metrics == compiled.metrics
    assert plain.history["val/loss"] == compiled.history["val/loss"]
    # 84 samples: 5 batches of 16 per epoch and one of 4, which is not compiled; val is one batch of 18.
    assert compiler.calls[0] == (True, 16)
    assert compiler.calls[1:] == ([(True, 16)] * 5 + [(False, 18)]) * 3
    assert (compiler.options["fullgraph"], compiler.options["dynamic"]) == (True, False)
    summaries = [(run.run_dir / "summary.txt").read_bytes() for run in (plain, compiled)]
    assert summaries[0] == summaries[1]


def test_cuda_graphs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Replayed outputs are copied. Without a CUDA device, and where gradients must survive a replay, there are none."""
    monkeypatch.setattr(torch, "compile", compiler := Network())
    begun: list[bool] = []
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: begun.append(True))
    compiled = Compiled(nn.Identity(), deterministic=True, graphs=True)
    compiled.start()
    assert compiler.options["options"] == {"deterministic": True, "triton.cudagraphs": True}
    inputs = torch.ones(2, 3)
    outputs = compiled(inputs)
    inputs.zero_()
    assert outputs.tolist() == [[1, 1, 1]] * 2
    assert begun == [True]
    if not torch.cuda.is_available():
        on_cpu = train("graphs", {"train.compile": "cuda_graphs"})
        assert same(on_cpu, train("compiled", ON))
        assert compiler.options["options"] == {"deterministic": True}
        assert begun == [True]
        assert "without CUDA graphs (no CUDA device)" in (on_cpu.run_dir / "train.log").read_text()
    for change in ("train.accumulate_grad_batches=2", "optimizer=lbfgs"):
        assert command(["validate", "iris_mlp", "train.compile=cuda_graphs", change]) == 2
        assert "overwrites. Use `compile: true`" in capsys.readouterr().err


def test_it_is_compiled_with_the_threads_of_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch recompiles for another number of threads."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    monkeypatch.setattr("nnzoo.experiment.threads.available_cores", lambda: 4)
    monkeypatch.setattr(torch, "compile", compiler := Network())
    with use_threads(4):
        train("threads", ON)
    assert set(compiler.threads) == {1}


def test_resuming_compiles_the_same_shapes(monkeypatch: pytest.MonkeyPatch, at_step: Callable[..., None]) -> None:
    """A run that stopped before the last, smaller batch must not compile for its size."""
    compiler = Network()
    monkeypatch.setattr(torch, "compile", compiler)
    at_step(5, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(InterruptedRunError):
        train("parts", ON)
    compiler.calls.clear()
    train("parts", ON, resume=True)
    assert compiler.calls == [(True, 16), (False, 18), *([(True, 16)] * 5 + [(False, 18)]) * 2]


@pytest.mark.parametrize("at", ["once", "the first call", "a later call", "the backward pass"])
def test_a_failed_compilation_is_disabled(
    at: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(Network):
        def __call__(self, network: nn.Module, **options: Any) -> Callable[..., Tensor]:
            if at == "once":
                raise RuntimeError("torch.compile is not supported on Python 9")
            call = super().__call__(network, **options)

            def fails(*inputs: Tensor) -> Tensor:
                if at == "the first call" or (at == "a later call" and not network.training):
                    raise RuntimeError("InvalidCxxCompiler: none\n\nSet TORCHDYNAMO_VERBOSE=1")
                outputs = call(*inputs)
                if at == "the backward pass":
                    outputs.register_hook(lambda _: 1 / 0)  # type: ignore[no-untyped-call]
                return outputs

            return fails

    plain = train("plain")
    monkeypatch.setattr(torch, "compile", Broken())
    reason = {"once": "torch.compile is not supported on Python 9", "the backward pass": "division by zero"}.get(
        at, "InvalidCxxCompiler: none"
    )
    with pytest.warns(nnzoo.NnzooWarning) as warned:
        compiled = nnzoo.train(BASE, overrides=ON, runs_dir="compiled", show=lambda _: None)
    assert [str(each.message) for each in warned] == [f"train.compile: {reason}; training continues without it"]
    assert same(plain, compiled)
    lines = [line for line in capsys.readouterr().err.splitlines() if "compile" in line and "run directory" not in line]
    if at == "a later call":
        assert lines.pop(0).startswith("compiled in ")
        assert lines.pop(0).startswith("train.probes: activations are not recorded with train.compile")
    assert lines == []


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("model", "reason"), [("lstm", "RNN, GRU, or LSTM"), ("own", "graph break")])
def test_networks_that_torch_cannot_trace(model: str, reason: str) -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 3)

        def forward(self, inputs: Tensor) -> Tensor:
            torch._dynamo.graph_break()
            outputs: Tensor = self.layer(inputs)
            return outputs

    settings = {**BASE, "train": {"epochs": 1, "compile": True}}
    if model == "lstm":
        settings |= {"data": "digits", "model": {"name": "lstm", "hidden_size": 4}}
    else:
        del settings["model"]
    with pytest.warns(nnzoo.NnzooWarning, match=rf"^train\.compile: .*{reason}"):
        run = nnzoo.train(settings, model=Own() if model == "own" else None, show=lambda _: None)
    assert run.result["status"] == "completed"
    (warned,) = run.result["warnings"]
    assert warned.startswith("train.compile: ")
    assert warned.endswith("; training continues without it")


def test_running_out_of_memory_is_not_a_compilation_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def compiler(*_: Any, **__: Any) -> Callable[..., Tensor]:
        def call(*_: Tensor) -> Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory")

        return call

    monkeypatch.setattr(torch, "compile", compiler)
    with pytest.raises(torch.OutOfMemoryError):
        train("runs", ON)


def test_reasons_are_one_line() -> None:
    assert reason_of(RuntimeError("")) == "RuntimeError"
    assert reason_of(RuntimeError("Bad.\n  Explanation: It is so. Reason: no tracing.\n more")) == "no tracing"
    assert len(reason_of(RuntimeError("x" * 999))) == MAX_REASON


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # warnings of torch itself are ignored
def test_the_compiled_network_gives_the_same_results(
    at_step: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Results are reproducible to the last bit, also if resumed, and equal the uncompiled run except for rounding."""
    first, second = train("first", ON), train("second", ON)
    at_step(8, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(InterruptedRunError):
        train("parts", ON)
    parts = train("parts", ON, resume=True)
    assert same(first, second)
    assert same(first, parts)
    assert first.metrics == second.metrics == parts.metrics
    # With Adam, biases before batch norm, whose gradients are only rounding errors, would move.
    without = {"model.dropout": 0.0, "optimizer": {"name": "sgd", "lr": 0.05}}
    plain, compiled = train("plain", without), train("compiled", {**without, **ON})
    assert not same(plain, compiled)
    for name, tensor in weights(plain).items():
        torch.testing.assert_close(tensor, weights(compiled)[name], rtol=1e-3, atol=1e-4)
    assert compiled.metrics["test/loss"] == evaluate_checkpoint(compiled.run_dir, split="test").metrics["loss"]
    assert compiled.history["val/loss"][-1] == pytest.approx(plain.history["val/loss"][-1], rel=1e-4)
    half = {**ON, "train.precision": "bf16-mixed"}
    assert command(["train", str(first.run_dir), "--dry-run", *(f"{key}={value}" for key, value in half.items())]) == 0
    assert "warning: train.compile" not in capsys.readouterr().err


@pytest.mark.cuda
@pytest.mark.filterwarnings("default")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_on_cuda(capsys: pytest.CaptureFixture[str]) -> None:
    on = {**ON, "train.device": "cuda"}
    first, second, plain = train("first", on), train("second", on), train("plain", {"train.device": "cuda"})
    assert same(first, second)
    assert not same(first, plain)
    assert same(train("graphs", {**on, "train.compile": "cuda_graphs"}), first)
    assert "warning: train.compile" not in capsys.readouterr().err
