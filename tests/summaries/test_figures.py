"""FLOPs and neurons against closed forms."""

import pytest
import torch
import torchvision
from torch import Tensor, nn

from nnzoo.summaries import summarize


class NeedsValues(nn.Module):
    """A network that fails on the meta device."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> object:
        assert x.sum().item() > 0
        return self.layer(x)


FLOPS = [
    (nn.Linear(30, 40), (30,), 2 * 30 * 40),
    (nn.Linear(30, 40), (7, 30), 7 * 2 * 30 * 40),
    (nn.Conv2d(3, 8, 5, padding=2, stride=2), (3, 32, 32), 2 * (3 * 5 * 5) * (8 * 16 * 16)),
    (nn.Conv2d(4, 8, 3, groups=4), (4, 10, 10), 2 * (1 * 3 * 3) * (8 * 8 * 8)),
    (nn.LSTM(10, 20, batch_first=True), (7, 10), 7 * 2 * 4 * (10 * 20 + 20 * 20)),
    (nn.GRU(10, 20, bidirectional=True, batch_first=True), (7, 10), 2 * 7 * 2 * 3 * (10 * 20 + 20 * 20)),
    # Projections of queries, keys, values and output; scores and weighted sum; the two linear layers.
    (
        nn.TransformerEncoderLayer(16, 4, 32, batch_first=True).eval(),
        (5, 16),
        5 * 4 * 2 * 16 * 16 + 2 * 2 * 5 * 5 * 16 + 5 * 2 * 2 * 16 * 32,
    ),
    (nn.ReLU(), (30,), 0),
]


@pytest.mark.parametrize(("layer", "input_shape", "expected"), FLOPS)
def test_flops_of_one_sample(layer: nn.Module, input_shape: tuple[int, ...], expected: int) -> None:
    assert summarize(layer, input_shape).flops == expected


@pytest.mark.parametrize(("layer", "input_shape", "expected"), FLOPS)
def test_flops_are_the_same_if_values_are_needed(layer: nn.Module, input_shape: tuple[int, ...], expected: int) -> None:
    assert summarize(NeedsValues(layer), input_shape).flops == expected


@pytest.mark.parametrize("name", ["alexnet", "resnet50", "googlenet", "densenet121", "vit_b_16", "swin_t"])
def test_flops_match_published_values(name: str) -> None:
    published = torchvision.models.get_model_weights(name).DEFAULT.meta["_ops"]  # billions of multiply-adds
    unused_init = {"init_weights": False} if name == "googlenet" else {}
    with torch.device("meta"):
        model = torchvision.models.get_model(name, weights=None, **unused_init)
    assert summarize(model.eval(), (3, 224, 224)).flops / 2e9 == pytest.approx(published, abs=1e-3)


class Declared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.centers = nn.Parameter(torch.zeros(10, 84))
        self.num_neurons = 10

    def forward(self, x: Tensor) -> Tensor:
        return (x[:, None] - self.centers).square().sum(-1)


SHARED = nn.Linear(4, 4)


@pytest.mark.parametrize(
    ("model", "input_shape", "expected"),
    [
        (nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), (3,), 6),
        (nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 1)), (3,), 9),
        (nn.Sequential(SHARED, nn.ReLU(), SHARED), (4,), 4),
        (nn.Linear(3, 4), (7, 3), 4),
        (nn.Sequential(nn.Conv2d(1, 6, 5), nn.BatchNorm2d(6), nn.AvgPool2d(2)), (1, 32, 32), 6 * 28 * 28),
        (nn.ConvTranspose1d(2, 3, 2, stride=2), (2, 5), 3 * 10),
        (nn.LSTM(3, 4, num_layers=2, bidirectional=True), (7, 3), 16),
        (nn.GRUCell(3, 4), (3,), 4),
        (nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), (5, 16), 4 * 16 + 32 + 16),
        (nn.Sequential(Declared()), (84,), 10),
        (nn.Sequential(nn.Flatten(), nn.Dropout()), (2, 3), 0),
    ],
)
def test_neurons(model: nn.Module, input_shape: tuple[int, ...], expected: int) -> None:
    assert summarize(model, input_shape).num_neurons == expected


class Cells(nn.Module):
    """A recurrent network that calls its cell once per time step."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), 4)
        for step in x.unbind(1):
            state = self.cell(step, state)
        return state


@pytest.mark.parametrize(
    ("model", "input_shape", "expected"),
    [(nn.Linear(30, 4), (30,), 1), (nn.LSTM(10, 20, batch_first=True), (7, 10), 7), (Cells(), (9, 3), 9)],
)
def test_time_steps(model: nn.Module, input_shape: tuple[int, ...], expected: int) -> None:
    assert summarize(model, input_shape).num_steps == expected
