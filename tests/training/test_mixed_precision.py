"""Steps in half precision, and the loss scaler, which works on the CPU too."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nnzoo.builders import build_optimizer, build_schedule
from nnzoo.config import load_config
from nnzoo.errors import DivergedError
from nnzoo.experiment.resume.untrusted import check_saved
from nnzoo.models import penalised
from nnzoo.training.early_stopping import EarlyStopping
from nnzoo.training.evaluate import LossSum
from nnzoo.training.finite import check_scale
from nnzoo.training.measures.decoding import Decoder
from nnzoo.training.measures.metrics import MetricSums
from nnzoo.training.precision import scaling
from nnzoo.training.precision.scaling import DTYPES, Autocast, unsupported_reason
from nnzoo.training.settings import Settings
from nnzoo.training.state import TrainState
from nnzoo.training.step import train_step

CPU = torch.device("cpu")
OPTIMIZERS: dict[str, Any] = {
    "adamw": {"name": "adamw", "lr": 0.01},  # has a fused kernel
    "sgd": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
    "rmsprop": {"name": "rmsprop", "lr": 0.01},  # has no fused kernel
}


def start(optimizer: str, scale: float | None = None, dtype: torch.dtype | None = None) -> TrainState:
    config_dict = {
        "data": "sine",
        "model": "linear",
        "optimizer": OPTIMIZERS[optimizer],
        "scheduler": {"name": "exponential", "gamma": 0.9, "interval": "step"},
    }
    config = load_config(config_dict)
    torch.manual_seed(0)
    module, loss = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)), nn.MSELoss()
    made = build_optimizer(config, module)
    return TrainState(
        model=module,
        loss=loss,
        optimizer=made,
        schedule=build_schedule(config, made, 1),
        early_stopping=EarlyStopping(),
        train_loss=LossSum(loss),
        train_metrics=MetricSums((), Decoder("regression", "values")),
        forward=None if dtype is None else Autocast(module, CPU, dtype),
        scaler=None if scale is None else torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=3),
    )


def settings_of(**fields: Any) -> Settings:
    return Settings(epochs=1, batch_size=4, monitor="train/loss", metrics=(), seed=0, **fields)


def batches(number: int) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(number)
    inputs = torch.randn(8, 3, generator=generator)
    return [(part, part[:, :2].sin()) for part in inputs.chunk(2)]


def train(state: TrainState, steps: range, **fields: Any) -> dict[str, Tensor]:
    for number in steps:
        train_step(state, batches(number), penalised(state.model), settings_of(**fields))
        state.schedule.after_step()
    return {name: tensor.clone() for name, tensor in state.model.state_dict().items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())


@pytest.mark.parametrize("fields", [{}, {"clip_grad_norm": 0.1}, {"l2": 0.1, "clip_grad_norm": 0.5}, {"l1": 0.01}])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_scale_that_is_a_power_of_two_does_not_change_a_bit(optimizer: str, fields: dict[str, Any]) -> None:
    """Clipping, L2 and L1 use unscaled gradients."""
    scaled = start(optimizer, scale=2.0**10)
    assert same(train(start(optimizer), range(7), **fields), train(scaled, range(7), **fields))
    assert scaled.scaler is not None
    assert scaled.scaler.get_scale() == 2.0**12  # it grew after three steps, twice


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_with_overflowing_gradients_is_skipped(optimizer: str) -> None:
    state = start(optimizer, 2.0**24, torch.float16)
    assert state.scaler is not None
    before = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    fields = {"l1": 0.01, "l2": 0.1, "clip_grad_norm": 1.0}
    assert same(before, train(state, range(1), **fields))
    assert state.scaler.get_scale() == 2.0**23
    assert state.schedule.lr == pytest.approx(0.9 * OPTIMIZERS[optimizer]["lr"])
    left_out = 1
    while same(before, train(state, range(left_out, left_out + 1), **fields)):
        left_out += 1
        assert left_out < 20
    assert state.scaler.get_scale() == 2.0 ** (24 - left_out)
    assert all(bool(tensor.isfinite().all()) for tensor in state.model.state_dict().values())
    assert state.train_loss.result() < 10


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_half_precision_has_about_the_same_result_as_float32(optimizer: str, dtype: torch.dtype) -> None:
    half, full = start(optimizer, 2.0**8 if dtype is torch.float16 else None, dtype), start(optimizer)
    found, expected = train(half, range(60)), train(full, range(60))
    assert not same(found, expected)
    assert half.train_loss.result() == pytest.approx(full.train_loss.result(), rel=0.03)
    assert {tensor.dtype for tensor in found.values()} == {torch.float32}


def test_layers_compute_in_half_precision_and_the_loss_in_float32() -> None:
    state = start("sgd", dtype=torch.bfloat16)
    dtypes: dict[str, torch.dtype] = {}
    for name, module in (("layer", state.model.get_submodule("0")), ("loss", state.loss)):
        module.register_forward_hook(lambda _, __, found, name=name: dtypes.update({name: found.dtype}))
    train(state, range(1))
    assert dtypes == {"layer": torch.bfloat16, "loss": torch.float32}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_state_of_the_scaler_is_restored(optimizer: str) -> None:
    whole, first, second = (start(optimizer, 2.0**14, torch.float16) for _ in range(3))
    train(first, range(5))
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert same(train(whole, range(9)), train(second, range(5, 9)))
    assert whole.scaler is not None
    assert second.scaler is not None
    assert whole.scaler.state_dict() == second.scaler.state_dict()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("scale", value) for value in (0.0, -1.0, float("inf"), float("nan"), "x", None)),
        *(("_growth_tracker", value) for value in (-1, 3, 0.5, None)),
        ("growth_factor", 1e30),
        ("backoff_factor", 0.0),
        ("growth_interval", 1),
    ],
)
def test_an_invalid_saved_scaler_is_an_error(name: str, value: Any) -> None:
    state = start("sgd", 2.0**14)
    fresh, saved = state.state_dict(), copy.deepcopy(state.state_dict())
    shapes = [each.shape for each in state.model.parameters()]
    check_saved(saved, fresh, shapes)
    saved["scaler"][name] = value
    with pytest.raises(ValueError, match="scaler"):
        check_saved(saved, fresh, shapes)
    del saved["scaler"]
    with pytest.raises(ValueError, match="parts are missing"):
        check_saved(saved, fresh, shapes)


def test_gradients_that_overflow_at_any_scale_are_an_error() -> None:
    state = start("sgd", 2.0**14)
    check_scale(state)
    next(state.model.parameters()).register_hook(lambda gradient: gradient * torch.inf)  # type: ignore[no-untyped-call]
    train(state, range(30))
    with pytest.raises(DivergedError, match=r"overflow float16 even with a loss scale of .*bf16-mixed"):
        check_scale(state)


def test_unsupported_precisions_of_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert unsupported_reason("fp32", CPU) is None
    for has, reason in ((True, None), (False, "this processor has no bfloat16")):
        monkeypatch.setattr(scaling, "cpu_has_bf16", lambda has=has: has)
        assert (unsupported_reason("bf16-mixed", CPU) or "").startswith(reason or "")
        assert (unsupported_reason("bf16-mixed", CPU) is None) == has
    for device in ("cpu", "mps"):
        assert "needs CUDA" in (unsupported_reason("fp16-mixed", torch.device(device)) or "")
    cuda = torch.device("cuda", 1)
    for major, ok in ((7, False), (8, True)):
        found = type("Device", (), {"name": "Old", "major": major, "minor": 5})
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _, found=found: found)
        assert (unsupported_reason("bf16-mixed", cuda) is None) == ok
        assert unsupported_reason("fp16-mixed", cuda) is None
    assert set(DTYPES) == {"bf16-mixed", "fp16-mixed"}
