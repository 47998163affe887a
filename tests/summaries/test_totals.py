"""Every parameter is counted exactly once in all kinds of networks."""

import re
from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import parametrizations, prune
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.flop_counter import FlopCounterMode

from nnzoo.summaries import Summary, summarize


def true_count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def printed_counts(summary: Summary) -> tuple[int, int]:
    """Returns the total and trainable parameters in the text."""
    text = summary.render()
    total, trainable = (re.search(rf"^{kind} params: ([\d,]+)$", text, re.M) for kind in ("Total", "Trainable"))
    assert total is not None
    assert trainable is not None
    return int(total[1].replace(",", "")), int(trainable[1].replace(",", ""))


def layers(summary: Summary) -> list[tuple[str, tuple[int, ...], int]]:
    return [(row.name, row.output_shape, row.num_parameters) for row in summary.layers]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (nn.LSTM(10, 20, batch_first=True), 2_560),
        (nn.LSTM(10, 20, num_layers=2, batch_first=True), 2_560 + 3_360),
        (nn.GRU(10, 20, batch_first=True), 3 * (10 * 20 + 20 * 20 + 2 * 20)),
        (nn.RNN(10, 20, bidirectional=True, batch_first=True), 2 * (10 * 20 + 20 * 20 + 2 * 20)),
    ],
)
def test_recurrent(model: nn.Module, expected: int) -> None:
    summary = summarize(model, (7, 10))
    directions = 2 if getattr(model, "bidirectional", False) else 1
    assert layers(summary) == [("", (-1, 7, 20 * directions), expected)]
    assert printed_counts(summary) == (expected, expected)


@pytest.mark.parametrize(
    ("name", "expected"), [("alexnet", 61_100_840), ("vgg16", 138_357_544), ("resnet18", 11_689_512)]
)
def test_published_totals(name: str, expected: int) -> None:
    with torch.device("meta"):
        model = torchvision.models.get_model(name, weights=None)
    summary = summarize(model, (3, 224, 224))
    assert summary.num_parameters == expected
    assert printed_counts(summary) == (expected, expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet"),
        *("inception_v3", "maxvit_t", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "regnet_y_400mf"),
        *("resnet18", "resnext50_32x4d", "shufflenet_v2_x0_5", "squeezenet1_0", "swin_t", "swin_v2_t"),
        *("vgg11_bn", "vit_b_32", "wide_resnet50_2"),
    ],
)
def test_a_classifier_of_every_torchvision_family(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for function in dir(nn.init):
        if function.endswith("_") and not function.startswith("_"):  # skips initialisation: untouched memory is free
            monkeypatch.setattr(nn.init, function, lambda tensor, *args, **kwargs: tensor)
    unused_init = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    model = torchvision.models.get_model(name, weights=None, **unused_init)
    size = 299 if name == "inception_v3" else 224
    summary = summarize(model, (3, size, size))
    assert summary.num_parameters == sum(row.num_parameters for row in summary.layers) == true_count(model)
    assert printed_counts(summary) == (true_count(model), true_count(model))
    assert summary.layers[-1].output_shape[:2] == (-1, 1000)
    assert summary.flops > 0


def test_a_reused_layer_has_its_parameters_in_the_first_row() -> None:
    linear = nn.Linear(4, 4)
    summary = summarize(nn.Sequential(linear, nn.ReLU(), linear), (4,))
    assert layers(summary) == [("0", (-1, 4), 20), ("1", (-1, 4), 0), ("0", (-1, 4), 0)]
    assert printed_counts(summary) == (20, 20)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.head = nn.Linear(8, 20, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.head(self.embedding(tokens))
        return logits


def test_tied_weights_and_integer_input() -> None:
    summary = summarize(Tied(), (5,), dtype=torch.long)
    assert layers(summary) == [("embedding", (-1, 5, 8), 160), ("head", (-1, 5, 20), 0)]
    assert printed_counts(summary) == (160, 160)


class Packed(nn.Module):
    """Lengths are computed from the tokens, so the control flow depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 8, padding_idx=0)
        self.gru = nn.GRU(8, 6, bidirectional=True, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        lengths = (tokens != 0).sum(1).cpu()
        packed = pack_padded_sequence(self.embedding(tokens), lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.gru(packed)[0], batch_first=True)[0]


def test_packed_sequences() -> None:
    model = Packed()
    summary = summarize(model, (5,), dtype=torch.long)
    assert [row.num_parameters for row in summary.layers] == [160, 2 * 3 * (8 * 6 + 6 * 6 + 2 * 6)]
    assert summary.flops == 2 * 5 * 2 * 3 * (8 * 6 + 6 * 6)


@pytest.mark.parametrize("training", [True, False])
def test_attention(training: bool) -> None:
    encoder = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True).train(training)
    summary = summarize(encoder, (5, 16))
    assert ("self_attn", (-1, 5, 16), 4 * 16 * 16 + 4 * 16) in layers(summary)
    assert ("linear1", (-1, 5, 32), 16 * 32 + 32) in layers(summary)
    assert summary.num_parameters == true_count(encoder)


class TimeFirst(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.lstm(x.transpose(0, 1))[0]
        return output.transpose(0, 1)


def test_the_batch_axis_is_first_even_if_the_time_axis_is_first_in_the_net() -> None:
    assert summarize(TimeFirst(), (7, 3)).layers[0].output_shape == (-1, 7, 4)


class OwnParameters(nn.Module):
    """Has parameters next to a called child, a parameter list, and a child that it uses without calling it."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4))
        self.shifts = nn.ParameterList([torch.zeros(4), torch.zeros(4)])
        self.linear = nn.Linear(4, 4)
        self.projection = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.linear(x * self.scale + self.shifts[0] + self.shifts[1])
        return {"logits": nn.functional.linear(x, self.projection.weight)}


def test_parameters_outside_called_layers() -> None:
    inner = summarize(nn.Sequential(OwnParameters()), (4,))
    assert layers(inner) == [("0.linear", (-1, 4), 20), ("0", (-1, 3), 4 + 8 + 15)]
    root = summarize(OwnParameters(), (4,))
    assert layers(root) == [("linear", (-1, 4), 20), ("", (-1, 3), 4), ("shifts", (), 8), ("projection", (), 15)]
    assert printed_counts(root) == (47, 47)


def test_auxiliary_heads() -> None:
    with torch.device("meta"):
        model = torchvision.models.googlenet(weights=None, init_weights=False)
    in_training = summarize(model.train(), (3, 224, 224))
    assert ("aux1.fc2", (-1, 1000), 1_025_000) in layers(in_training)
    in_use = summarize(model.eval(), (3, 224, 224))
    assert layers(in_use)[-2:] == [("aux1", (), 3_188_968), ("aux2", (), 3_191_016)]
    assert printed_counts(in_training) == printed_counts(in_use) == (13_004_888, 13_004_888)
    assert in_training.flops > in_use.flops


def test_a_partly_frozen_layer_has_two_rows() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    model[0].bias.requires_grad_(False)
    summary = summarize(model, (3,))
    assert (summary.layers[0].num_parameters, summary.layers[0].num_trainable_parameters) == (16, 12)
    assert summary.num_trainable_parameters == 22
    assert printed_counts(summary) == (26, 22)
    assert re.findall(r"Linear-\d +\[-1, \d\] +(\d+)", summary.render()) == ["12", "4", "10"]


@pytest.mark.parametrize("model", [nn.ReLU(), nn.Flatten(), nn.Sequential(nn.ReLU()), nn.Sequential()])
def test_without_parameters(model: nn.Module) -> None:
    assert printed_counts(summarize(model, (2, 3))) == (0, 0)


def test_batch_norm_in_train_mode() -> None:
    summary = summarize(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).train(), (3,))
    assert layers(summary)[1] == ("1", (-1, 4), 8)


class OwnDropout(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * (torch.rand(x.shape, device=x.device) < 0.5)


def test_custom_dropout() -> None:
    assert layers(summarize(nn.Sequential(OwnDropout()), (3,))) == [("0", (-1, 3), 0)]


def weight_norm(layer: nn.Module) -> None:
    parametrizations.weight_norm(layer)


def pruning(layer: nn.Module) -> None:
    prune.random_unstructured(layer, "weight", amount=0.5)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(("change", "expected"), [(weight_norm, 12 + 4 + 4), (pruning, 12 + 4)])
def test_layers_with_computed_weights(change: Callable[[nn.Module], None], expected: int) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    change(model[0])
    summary = summarize(model, (3,))
    assert [row.num_parameters for row in summary.layers] == [expected, 0]
    assert summary.num_neurons == 4


class Unrolled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(3, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), 4)
        for step in x.unbind(1):
            state = self.cell(step, state)
        output: Tensor = self.head(state)
        return output


def test_an_unrolled_cell_shows_its_first_calls() -> None:
    summary = summarize(Unrolled(), (50, 3))
    assert [row.name for row in summary.layers] == ["cell"] * 4 + ["head"]
    assert summary.notes == ("the table shows the first 4 calls of cell (50 times); FLOPs count all of them",)
    assert summary.flops == 50 * 2 * 3 * (3 * 4 + 4 * 4) + 2 * 4 * 2
    assert summary.num_neurons == 4 + 2


class _Scores(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("nij,nkj->nik", x, x).softmax(-1) @ x


@pytest.mark.filterwarnings("ignore:TF32 acceleration")
@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10)), (1, 8, 8)),
        (nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, groups=1), nn.BatchNorm2d(8), nn.MaxPool2d(2)), (3, 20, 20)),
        (nn.Conv1d(4, 6, 5, padding=2, dilation=2), (4, 30)),
        (nn.ConvTranspose2d(3, 5, 4), (3, 9, 9)),
        (nn.LSTM(3, 7, num_layers=2, batch_first=True, bidirectional=True), (6, 3)),
        (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (5, 8)),
        (_Scores(), (6, 4)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_flops_match_the_counter_of_torch(model: nn.Module, shape: tuple[int, ...]) -> None:
    """A small net runs on the CPU with FlopCounter, a large one on the meta device with the counter of torch."""
    counter = FlopCounterMode(display=False)
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH), torch.no_grad(), counter:
        model.eval()(torch.ones(1, *shape))
    torch.backends.mha.set_fastpath_enabled(True)
    flops = counter.get_total_flops()
    assert summarize(model, shape).flops == flops > 0


def test_control_flow_operations_are_counted() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.short, self.long = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            chosen = torch.cond(x.sum() > 0, self.short, lambda x: self.long(self.long(x)), (x,))
            assert isinstance(chosen, Tensor)
            return chosen

    assert summarize(Branches(), (4,)).flops == 2 * 2 * 4 * 4
