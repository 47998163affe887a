"""Published calculations by hand, through config files. Tolerances are those of float32 and of the printed digits."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import nnzoo

MAZUR = """
data: {{name: arrays, path: data.npz, task: regression{split}}}
preprocess: {{normalize: none}}
model:
  name: mlp
  activation: sigmoid
  layers:
    - units: 2
      init: {{name: values, values: [[.15, .20], [.25, .30]], bias: .35}}
  output:
    activation: sigmoid
    init: {{name: values, values: [[.40, .45], [.50, .55]], bias: .60}}
  freeze: "*.bias"
loss: mse
optimizer: {{name: sgd, lr: .5}}
train: {{epochs: {epochs}, batch_size: {batch_size}, early_stopping: null}}
"""
"""A 2-2-2 sigmoid network whose biases stand still (Mazur, A Step by Step Backpropagation Example)."""

NAMES = ("hidden.0.linear", "output.linear")


def mazur(tmp_path: Path, *, epochs: int = 1, copies: int = 1) -> Path:
    np.savez(tmp_path / "data.npz", x=[[0.05, 0.10]] * copies, y=[[0.01, 0.99]] * copies)
    split = ", split: {val: 0, test: 0}" if copies > 1 else ""
    path = tmp_path / "mazur.yaml"
    path.write_text(MAZUR.format(split=split, epochs=epochs, batch_size=1 if copies > 1 else "full"))
    return path


def test_the_forward_pass(tmp_path: Path) -> None:
    net = nnzoo.build_model(mazur(tmp_path))
    inputs = torch.tensor([[0.05, 0.10]])
    hidden = net.get_submodule("hidden")(inputs)
    outputs = net(inputs)
    torch.testing.assert_close(hidden, torch.tensor([[0.593269992, 0.596884378]]), rtol=0, atol=1e-7)
    torch.testing.assert_close(outputs, torch.tensor([[0.75136507, 0.772928465]]), rtol=0, atol=1e-7)
    error = torch.nn.functional.mse_loss(outputs, torch.tensor([[0.01, 0.99]]))
    assert error.item() == pytest.approx(0.298371109, abs=1e-7)
    first, last = torch.autograd.grad(error, [net.get_parameter(f"{name}.weight") for name in NAMES])
    assert float(last[0, 0]) == pytest.approx(0.082167041, abs=1e-8)
    assert float(first[0, 0]) == pytest.approx(0.000438568, abs=1e-9)


def test_one_step(tmp_path: Path) -> None:
    run = nnzoo.train(mazur(tmp_path), runs_dir=tmp_path, quiet=True)
    state = run.model.module.state_dict()
    first, last = (state[f"{name}.weight"].flatten().tolist() for name in NAMES)
    assert first == pytest.approx([0.149780716, 0.19956143, 0.24975114, 0.29950229], abs=3e-8)
    assert last == pytest.approx([0.35891648, 0.408666186, 0.511301270, 0.561370121], abs=6e-8)
    assert [state[f"{name}.bias"].tolist() for name in NAMES] == [pytest.approx([value] * 2) for value in (0.35, 0.6)]
    assert run.history["train/loss"] == pytest.approx([0.298371109], abs=6e-8)
    assert run.metrics["train/loss"] == pytest.approx(0.2910277737, abs=6e-8)


def test_ten_thousand_steps(tmp_path: Path) -> None:
    # As one epoch over ten thousand copies of the sample, one a step: ten thousand epochs would write as many rows.
    run = nnzoo.train(mazur(tmp_path, copies=10_000), runs_dir=tmp_path, quiet=True)
    assert run.history["step"] == [10_000]
    # Five digits are printed; ten thousand roundings of float32 move the last one.
    assert run.metrics["train/loss"] == pytest.approx(3.5102e-5, rel=2e-4)


@pytest.mark.parametrize(("loss", "lr"), [("mse", 0.25), ("huber", 0.5)])
def test_one_step_of_a_single_unit(tmp_path: Path, loss: str, lr: float) -> None:
    """E is half the squared error: mse at half the lr, or Huber's, which has the half, as it is."""
    np.savez(tmp_path / "data.npz", x=[[0.1, 0.3]], y=[[0.2]])
    init = {"name": "values", "values": [[-0.8, 0.5]]}
    config = {
        "data": {"name": "arrays", "path": "data.npz"},
        "model": {"name": "linear", "output": {"activation": "sigmoid", "bias": False, "init": init}},
        "loss": loss,
        "optimizer": {"name": "sgd", "lr": lr},
        "train": {"epochs": 1},
    }
    path = tmp_path / "unit.yaml"
    path.write_text(yaml.safe_dump(config))
    assert nnzoo.build_model(path)(torch.tensor([[0.1, 0.3]])).item() == pytest.approx(0.5174928577, abs=6e-8)
    run = nnzoo.train(path, runs_dir=tmp_path, quiet=True)
    weight = run.model.module.get_parameter("output.linear.weight").detach().double()
    change = weight - torch.tensor([[-0.8, 0.5]], dtype=torch.float64)
    # The weights are float32: they are off by half of 6e-8, whatever the change.
    assert change.flatten().tolist() == pytest.approx([-0.0039638031, -0.0118914092], abs=6e-8)
