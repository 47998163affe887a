"""Recurrent networks against an explicit loop, their inputs, and padding."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nnzoo.errors import UsageError
from nnzoo.models.recurrent import RecurrentNet, default_embedding_dim

CELLS = ("rnn", "lstm", "gru")
POOLINGS = ("last", "mean", "max", "none")
SHAPES = [
    pytest.param(cell, bidirectional, num_layers, pooling, id=f"{cell}-{1 + bidirectional}-{num_layers}-{pooling}")
    for cell, bidirectional, num_layers, pooling in product(CELLS, (False, True), (1, 2), POOLINGS)
]
LENGTHS = torch.tensor([5, 1, 3, 4])


def make(*, inputs: int | None = 3, outputs: int = 2, **config: Any) -> RecurrentNet:
    torch.manual_seed(0)
    return RecurrentNet(inputs, outputs, **{"cell": "gru", "hidden_size": 4, **config}).eval()


def num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
@pytest.mark.parametrize("pooling", ["last", "none"])
def test_the_network_matches_an_explicit_loop(nonlinearity: Any, pooling: Any) -> None:
    net = make(cell="rnn", nonlinearity=nonlinearity, pooling=pooling).double()
    inputs = torch.randn(5, 6, 3, dtype=torch.float64)
    weights = net.state_dict()
    u, w, b, c = (weights[f"recurrent.0.{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    v, d = weights["output.linear.weight"], weights["output.linear.bias"]
    h = torch.zeros(5, 4, dtype=torch.float64)
    outputs = []
    for x in inputs.unbind(1):
        h = getattr(torch, nonlinearity)(x @ u.T + b + h @ w.T + c)
        outputs.append(h @ v.T + d)
    expected = torch.stack(outputs, dim=1) if pooling == "none" else outputs[-1]
    torch.testing.assert_close(net(inputs), expected)


@pytest.mark.parametrize(("cell", "bidirectional", "num_layers", "pooling"), SHAPES)
def test_padding_does_not_change_results(cell: Any, bidirectional: bool, num_layers: int, pooling: Any) -> None:
    net = make(cell=cell, bidirectional=bidirectional, num_layers=num_layers, pooling=pooling, dropout=0.5)
    clean = torch.randn(4, 5, 3)
    past = (torch.arange(5) >= LENGTHS.unsqueeze(1)).unsqueeze(2)
    results, gradients = [], []
    for garbage in (0.0, 1e6, torch.nan):
        net.zero_grad()
        outputs = net(clean.masked_fill(past, garbage), LENGTHS)
        if pooling == "none":
            outputs = outputs.masked_fill(past, 0.0)
        outputs.square().sum().backward()
        results.append(outputs.detach())
        gradients.append(nn.utils.parameters_to_vector([g for p in net.parameters() if (g := p.grad) is not None]))
    # The values of the padding do not change a bit.
    for result, gradient in zip(results[1:], gradients[1:], strict=True):
        assert result.equal(results[0])
        assert gradient.equal(gradients[0])
    # The amount of padding changes only the rounding, since sums have another order.
    for inputs, length, result in zip(clean, LENGTHS.tolist(), results[0], strict=True):
        alone = net(inputs[:length].unsqueeze(0))[0]
        torch.testing.assert_close(result[:length] if pooling == "none" else result, alone, rtol=1e-6, atol=1e-6)
    # Full lengths give the same result as no lengths.
    torch.testing.assert_close(net(clean, torch.full((4,), 5)), net(clean), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_two_directions_match_packed_sequences(cell: Any) -> None:
    net = make(cell=cell, bidirectional=True)
    inputs = torch.randn(4, 5, 3)
    layer = net.get_submodule("recurrent.0")
    packed = nn.utils.rnn.pack_padded_sequence(inputs, LENGTHS, batch_first=True, enforce_sorted=False)
    final = layer(packed)[1]
    final = final[0] if cell == "lstm" else final
    expected = net.output(final.transpose(0, 1).flatten(1))
    torch.testing.assert_close(net(inputs, LENGTHS), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("cell", "bidirectional", "num_layers", "pooling"), SHAPES)
def test_gradients_match_finite_differences(cell: Any, bidirectional: bool, num_layers: int, pooling: Any) -> None:
    net = make(cell=cell, bidirectional=bidirectional, num_layers=num_layers, pooling=pooling, hidden_size=2).double()
    inputs = torch.randn(4, 5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda batch: net(batch, LENGTHS), inputs, fast_mode=True)


def test_padding_may_contain_invalid_tokens() -> None:
    net = make(inputs=None, num_tokens=11, bidirectional=True, pooling="max")
    tokens = torch.randint(11, (4, 5))
    past = torch.arange(5) >= LENGTHS.unsqueeze(1)
    results = [net(tokens.masked_fill(past, garbage), LENGTHS) for garbage in (0, 7, -1, 10**6)]
    assert all(result.equal(results[0]) for result in results)
    torch.testing.assert_close(results[0][2], net(tokens[2:3, :3])[0], rtol=1e-6, atol=1e-6)
    results[0].sum().backward()
    assert net.embedding is not None
    assert net.embedding.weight.grad is not None
    read = set(tokens[~past].tolist())
    assert {row for row, gradient in enumerate(net.embedding.weight.grad) if gradient.any()} == read


def test_an_image_is_read_row_by_row() -> None:
    net = make(inputs=2 * 5)
    images = torch.randn(3, 2, 7, 5)
    rows = torch.stack([torch.cat([images[:, 0, row], images[:, 1, row]], dim=1) for row in range(7)], dim=1)
    assert net(images).equal(net(rows))


def test_a_token_is_replaced_by_its_vector() -> None:
    net = make(inputs=None, num_tokens=11, embedding_dim=3)
    assert net.embedding is not None
    tokens = torch.randint(11, (4, 5))
    torch.manual_seed(0)
    plain = make()
    plain.recurrent.load_state_dict(net.recurrent.state_dict())
    plain.output.load_state_dict(net.output.state_dict())
    assert net(tokens).equal(plain(net.embedding.weight[tokens]))


def test_embedding_sizes() -> None:
    assert [default_embedding_dim(count) for count in (1, 2, 27, 100, 466, 10**6)] == [2, 2, 10, 21, 50, 50]
    net = make(inputs=None, num_tokens=27)
    assert net.embedding is not None
    assert net.embedding.weight.shape == (27, 10)


@pytest.mark.parametrize(
    ("pooling", "shape"), [("last", (2, 6)), ("mean", (2, 6)), ("max", (2, 6)), ("none", (2, 9, 6))]
)
def test_many_to_one_and_many_to_many(pooling: Any, shape: tuple[int, ...]) -> None:
    assert make(outputs=6, pooling=pooling)(torch.randn(2, 9, 3)).shape == shape


def test_poolings_over_the_steps() -> None:
    inputs = torch.randn(2, 9, 3)
    nets = {pooling: make(pooling=pooling) for pooling in POOLINGS}
    states = nets["none"].recurrent[0](inputs)[0]
    for pooling, pooled in {"last": states[:, -1], "mean": states.mean(1), "max": states.amax(1)}.items():
        net = nets[pooling]
        torch.testing.assert_close(net(inputs), net.output(pooled))


@pytest.mark.parametrize(("layers", "expected"), [(1, 2560), (2, 5920)])
def test_number_of_parameters_matches_torch(layers: int, expected: int) -> None:
    net = make(inputs=10, cell="lstm", hidden_size=20, num_layers=layers)
    assert num_parameters(net.recurrent) == expected == num_parameters(nn.LSTM(10, 20, layers))
    both = make(inputs=10, cell="lstm", hidden_size=20, num_layers=layers, bidirectional=True)
    assert num_parameters(both.recurrent) == num_parameters(nn.LSTM(10, 20, layers, bidirectional=True))
    assert num_parameters(both.output) == 40 * 2 + 2


@pytest.mark.parametrize(("cell", "bidirectional", "num_layers", "pooling"), SHAPES)
def test_gradients_reach_every_parameter_and_weights_are_loaded(
    cell: Any, bidirectional: bool, num_layers: int, pooling: Any
) -> None:
    shape = {"cell": cell, "bidirectional": bidirectional, "num_layers": num_layers, "pooling": pooling}
    net = make(inputs=None, num_tokens=11, **shape)
    tokens = torch.randint(11, (4, 5))
    net(tokens).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in net.parameters())
    torch.manual_seed(1)
    other = RecurrentNet(None, 2, num_tokens=11, hidden_size=4, **shape).eval()
    assert not other(tokens).equal(net(tokens))
    other.load_state_dict(net.state_dict())
    assert other(tokens).equal(net(tokens))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_dropout_between_layers_and_before_the_output(cell: Any, bidirectional: bool) -> None:
    def last_states(num_layers: int, inputs: Tensor) -> Tensor:
        net = make(cell=cell, num_layers=num_layers, bidirectional=bidirectional, dropout=1.0).train()
        states: list[Tensor] = []
        net.recurrent[-1].register_forward_hook(lambda *call: states.append(call[2][0]))
        assert net(inputs).equal(net.state_dict()["output.linear.bias"].expand(2, -1))
        return states[0]

    one, two = torch.randn(2, 6, 3), torch.randn(2, 6, 3)
    # If all values are zeroed, the second layer does not depend on the inputs; the first layer always does.
    assert last_states(2, one).equal(last_states(2, two))
    assert not last_states(1, one).equal(last_states(1, two))
    # There is no dropout between the steps: with one layer, the states are those without dropout.
    net = make(cell=cell, bidirectional=bidirectional)
    assert last_states(1, one).equal(net.recurrent[0](one)[0])


def test_invalid_arguments_are_errors() -> None:
    with pytest.raises(UsageError, match=r"gru: give either input_size .* \(got 3 and 5\)"):
        RecurrentNet(3, 2, cell="gru", num_tokens=5)
    with pytest.raises(UsageError, match=r"gru: give either input_size .* \(got None and None\)"):
        RecurrentNet(None, 2, cell="gru")
    with pytest.raises(UsageError, match=r"lstm\.nonlinearity: only rnn has this option \(got relu\)"):
        RecurrentNet(3, 2, cell="lstm", nonlinearity="relu")
