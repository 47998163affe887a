"""The text of a summary: table, JSON object, notes and errors."""

import json

import pytest
import torch
from torch import Tensor, nn
from torchsummary import summary as torchsummary_prints

from nnzoo.errors import UsageError
from nnzoo.summaries import summarize

MLP_TEXT = """\
----------------------------------------------------------------
        Layer (type)               Output Shape         Param #
================================================================
            Linear-1                    [-1, 4]              16
              Tanh-2                    [-1, 4]               0
            Linear-3                    [-1, 2]              10
================================================================
Total params: 26
Trainable params: 26
Non-trainable params: 0
----------------------------------------------------------------
Input size (MB): 0.00
Forward/backward pass size (MB): 0.00
Params size (MB): 0.00
Estimated Total Size (MB): 0.00
----------------------------------------------------------------
Neurons: 6
FLOPs (one sample): 40
Note: softmax is part of the loss"""


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def test_text_of_a_small_mlp() -> None:
    assert str(summarize(mlp(), (3,), notes=["softmax is part of the loss"])) == MLP_TEXT


@pytest.mark.parametrize("batch_size", [-1, 64])
def test_the_table_matches_torchsummary_for_simple_networks(
    batch_size: int, capsys: pytest.CaptureFixture[str]
) -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 64, 3, padding=1),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16384, 10),
    )
    torchsummary_prints(model, (3, 32, 32), batch_size=batch_size, device="cpu")
    expected = capsys.readouterr().out
    assert summarize(model, (3, 32, 32), batch_size=batch_size).render().startswith(expected)


def test_json() -> None:
    assert json.loads(json.dumps(summarize(mlp(), (3,)).as_dict())) == {
        "model": "Sequential",
        "input_shape": [3],
        "layers": [
            {"name": "0", "type": "Linear", "output_shape": [-1, 4], "num_parameters": 16},
            {"name": "1", "type": "Tanh", "output_shape": [-1, 4], "num_parameters": 0},
            {"name": "2", "type": "Linear", "output_shape": [-1, 2], "num_parameters": 10},
        ],
        "num_parameters": 26,
        "num_trainable_parameters": 26,
        "num_neurons": 6,
        "flops": 40,
        "notes": [],
    }


@pytest.mark.parametrize(
    ("layer", "input_shape", "expected"),
    [
        (
            nn.Conv2d(1, 1, 3, stride=2),
            (1, 10, 10),
            "(W - K + 2P) / S + 1 = (10 - 3 + 2 * 0) / 2 + 1 = 4.5 is not an integer; "
            "the output has 4, and no window reads the last 1 of 10 positions",
        ),
        (
            nn.Conv1d(1, 1, 3, stride=4, padding=1, dilation=2),
            (1, 10),
            "(W - K + 2P) / S + 1 = (10 - 5 + 2 * 1) / 4 + 1 = 2.75 is not an integer; "
            "the output has 2, and no window reads the last 3 of 12 positions (2 of them input)",
        ),
        (
            nn.MaxPool2d(3, stride=2, padding=1),
            (1, 9, 8),
            "(W - K + 2P) / S + 1 = (8 - 3 + 2 * 1) / 2 + 1 = 4.5 is not an integer; "
            "the output has 4, and no window reads the last 1 of 10 positions (padding)",
        ),
    ],
)
def test_note_on_an_unread_border(layer: nn.Module, input_shape: tuple[int, ...], expected: str) -> None:
    summary = summarize(nn.Sequential(layer), input_shape)
    assert summary.notes == (f"0: {expected}",)
    assert summary.layers[0].output_shape[-1] == int(expected.split("the output has ")[1].split(",")[0])


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(1, 1, 3, stride=2, padding=1),
        nn.Conv2d(1, 1, 4, padding="same"),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.AdaptiveAvgPool2d(4),
    ],
)
def test_no_note_if_the_border_is_read(layer: nn.Module) -> None:
    assert summarize(layer, (1, 9, 9)).notes == ()


def test_layers_with_the_same_border_share_a_note() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Conv1d(1, 2, 2, stride=2), nn.AvgPool1d(2)

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([self.left(x), self.right(x)], 1)

    (note,) = summarize(Branches(), (1, 7)).notes
    assert note.startswith("left, right: (W - K + 2P)")


def test_notes_on_frozen_parts() -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4)), nn.Linear(4, 2))
    model[0].requires_grad_(False)
    model[1].bias.requires_grad_(False)
    assert summarize(model, (3,)).notes == ("38 of 46 parameters are frozen: 0.*, 1.bias",)
    model.requires_grad_(False)
    assert summarize(model, (3,)).notes == ("all 46 parameters are frozen",)
    model.requires_grad_(True)
    assert summarize(model, (3,)).notes == ()


def test_long_lists_of_frozen_names_are_truncated() -> None:
    model = nn.Sequential(*(nn.Linear(2, 2) for _ in range(10)))
    for layer in model:
        layer.bias.requires_grad_(False)
    (note,) = summarize(model, (2,)).notes
    assert note.startswith("20 of 60 parameters are frozen: 0.bias, 1.bias")
    assert note.endswith("7.bias and 2 more")


def test_the_error_of_a_wrong_shape_names_the_layer() -> None:
    model = nn.Sequential(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten()), nn.Linear(100, 2))
    with pytest.raises(UsageError) as caught:
        summarize(model, (1, 8, 8))
    message = str(caught.value)
    assert message.startswith("layer 1 (Linear): the forward pass fails (got an input of shape [-1, 144]): ")
    assert "shapes cannot be multiplied" in message
    assert "\n" not in message


def test_an_error_outside_of_layers_names_the_net() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise ValueError("no way\nat all")

    with pytest.raises(
        UsageError, match=r"^Broken: the forward pass fails \(got an input of shape \[-1, 3\]\): no way\."
    ):
        summarize(Broken(), (3,))


def test_an_error_that_the_net_catches_is_ignored() -> None:
    class Tolerant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wrong, self.right = nn.Linear(5, 2), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            try:
                output: Tensor = self.wrong(x)
            except RuntimeError:
                output = self.right(x)
            return output

    assert [row.name for row in summarize(Tolerant(), (3,)).layers] == ["right", "wrong"]


@pytest.mark.parametrize(
    ("model", "input_shape", "batch_size", "expected"),
    [
        (nn.Linear(3, 4), (0,), -1, r"input_shape: every size must be 1 or more \(got \(0,\)\)"),
        (nn.Linear(3, 4), (3,), 0, r"batch_size: must be 1 or more, or -1 for any \(got 0\)"),
    ],
)
def test_invalid_sizes_are_errors(
    model: nn.Module, input_shape: tuple[int, ...], batch_size: int, expected: str
) -> None:
    with pytest.raises(UsageError, match=expected):
        summarize(model, input_shape, batch_size=batch_size)


def test_lazy_parameters_are_an_error() -> None:
    with pytest.raises(UsageError, match=r"Run one batch through the model first"):
        summarize(nn.LazyLinear(4), (3,))


def test_a_model_that_can_not_be_copied_is_an_error() -> None:
    class Unique(nn.Linear):
        def __deepcopy__(self, memo: dict[int, object]) -> nn.Module:
            raise TypeError("there is only one")

    with pytest.raises(UsageError, match=r"Unique: .*copy.deepcopy fails \(there is only one\)"):
        summarize(Unique(3, 4), (3,))


@pytest.mark.filterwarnings("ignore:`torch.jit.script`")
def test_a_scripted_model_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"its forward pass can't be recorded \(.*ScriptModules\)"):
        summarize(torch.jit.script(mlp()), (3,))
