"""Published sizes of small networks, counted by hand in many courses."""

from pathlib import Path

import pytest

import nnzoo

NETWORK = """
data: {{name: random, shape: [{inputs}], targets: {outputs}}}
model:
  name: mlp
  layers: [{layers}]
  output: {{activation: {output}}}
loss: mse
"""


@pytest.mark.parametrize(
    ("sizes", "neurons", "weights", "biases", "total"),
    [
        ((3, 3, 2, 2), 7, 19, 7, 26),
        ((3, 4, 2), 6, 20, 6, 26),
        ((3, 4, 4, 1), 9, 32, 9, 41),
    ],
)
def test_neurons_weights_and_biases(
    tmp_path: Path, sizes: tuple[int, ...], neurons: int, weights: int, biases: int, total: int
) -> None:
    activations = ("sigmoid", "relu")
    layers = [f"{{units: {units}, activation: {name}}}" for units, name in zip(sizes[1:-1], activations, strict=False)]
    path = tmp_path / "network.yaml"
    path.write_text(NETWORK.format(inputs=sizes[0], outputs=sizes[-1], layers=", ".join(layers), output="sigmoid"))
    net = nnzoo.build_model(path)
    counts = {
        kind: sum(p.numel() for name, p in net.named_parameters() if name.endswith(kind)) for kind in ("weight", "bias")
    }
    assert counts == {"weight": weights, "bias": biases}
    summary = nnzoo.summary(net, (sizes[0],))
    assert (summary.num_neurons, summary.num_parameters) == (neurons, total)


def test_the_layers_parameters_are_12_8_and_6(tmp_path: Path) -> None:
    path = tmp_path / "network.yaml"
    path.write_text(
        NETWORK.format(
            inputs=3,
            outputs=2,
            layers="{units: 3, activation: sigmoid}, {units: 2, activation: relu}",
            output="softmax",
        )
    )
    net = nnzoo.build_model(path)
    layers = [net.get_submodule(name) for name in ("hidden.0", "hidden.1", "output")]
    assert [sum(p.numel() for p in layer.parameters()) for layer in layers] == [12, 8, 6]
