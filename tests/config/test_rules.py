"""Rules refuse combinations that can't work, and accept similar ones that do."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import yaml

from nnzoo.cli.app import run
from nnzoo.config import Facts, check_facts, load_config
from nnzoo.errors import ConfigError

BASE = "data: iris, model: mlp"
FILE = "data: {name: arrays, path: x.npz}"
CSV = "data: {name: csv, path: x.csv, target: %s}"


def config_dict(text: str) -> dict[str, Any]:
    """Returns the base config with some sections replaced."""
    return {**yaml.safe_load(f"{{{BASE}}}"), **yaml.safe_load(f"{{{text}}}")}


BROKEN = [
    # key in the message, sections that break the rule, similar sections that do not
    (
        "data.split",
        "data: {name: iris, split: {val: 0.5, test: 0.5}}",
        "data: {name: iris, split: {val: 0.5, test: 0.4}}",
    ),
    ("data.noise", "data: {name: xor, noise: 0.1}", "data: {name: xor, noise: 0.1, samples: 100}"),
    ("data.split", "data: {name: xor, split: {val: 0.3}}", "data: {name: xor, split: {val: 0, test: 0}}"),
    ("data.split", "data: {name: and, split: {test: 0.3}}", "data: {name: and, samples: 9, split: {test: 0.3}}"),
    (
        "data.targets",
        "data: {name: random, shape: [4], classes: 3, targets: 2}",
        "data: {name: random, shape: [4], targets: 2}",
    ),
    ("data.shape", "data: {name: random, shape: []}", "data: {name: random, shape: [1]}"),
    ("data.shape", "data: {name: random, shape: [1, 2, 3, 4]}", "data: {name: random, shape: [1, 2, 3]}"),
    ("data.split.group", "data: {name: iris, split: {group: who}}", CSV % "y, split: {group: who}"),
    ("data.target", CSV % "[a, b], task: classification", CSV % "[a, b], task: multilabel"),
    ("data.target", CSV % "[a, a]", CSV % "[a, b]"),
    ("data.features", CSV % "y, features: [x, y]", CSV % "y, features: [x]"),
    ("data.ignore", CSV % "4, ignore: ['4']", CSV % "4, ignore: [3]"),
    ("data.categorical", CSV % "y, categorical: [y]", CSV % "y, categorical: [x], features: [x]"),
    ("data.names", CSV % "y, names: [x, y, x]", CSV % "y, names: [x, y]"),
    ("data.sequence_id", CSV % "y, sequence_id: y", CSV % "y, sequence_id: id"),
    ("loss", CSV % "y, task: regression" + ", loss: hinge", CSV % "y" + ", loss: hinge"),
    ("preprocess.zca", "preprocess: {pca: {n_components: 2}, zca: true}", "preprocess: {zca: true}"),
    ("preprocess.pca.n_components", "preprocess: {pca: {n_components: 5}}", "preprocess: {pca: {n_components: 4}}"),
    (
        "preprocess.pca.n_components",
        "data: digits, preprocess: {pca: {n_components: 65}}",
        "data: digits, preprocess: {pca: {n_components: 64}}",
    ),
    (
        "preprocess.pca.n_components",
        "data: {name: random, shape: [9, 3]}, preprocess: {pca: {n_components: 4}}",
        "data: {name: random, shape: [9, 3]}, preprocess: {pca: {n_components: 3}}",
    ),
    ("preprocess.scale_target", "preprocess: {scale_target: true}", "data: sine, preprocess: {scale_target: true}"),
    (
        "preprocess.scale_target",
        "data: {name: arrays, path: x.npz, task: multilabel}, preprocess: {scale_target: true}",
        "data: {name: arrays, path: x.npz}, preprocess: {scale_target: true}",
    ),
    ("model", "data: {name: arrays, path: x.npz, layout: tokens}", "data: {name: arrays, path: x.npz, layout: image}"),
    (
        "model.layers",
        "model: {name: mlp, hidden: [3], layers: [{units: 3}]}",
        "model: {name: mlp, layers: [{units: 3}]}",
    ),
    ("model.layers", "model: {name: mlp, hidden: [], layers: []}", "model: {name: mlp, hidden: []}"),
    (
        "train.batch_size",
        "model: {name: mlp, batch_norm: true}, train: {batch_size: 1}",
        "model: {name: mlp, batch_norm: true}, train: {batch_size: 2}",
    ),
    (
        "train.batch_size",
        "model: {name: mlp, layers: [{units: 3, batch_norm: true}]}, train: {batch_size: 1}",
        "model: {name: mlp, layers: [{units: 3, batch_norm: false}]}, train: {batch_size: 1}",
    ),
    (
        "init",
        "init: {name: values, values: [[1]]}",
        "model: {name: mlp, output: {init: {name: values, values: [[1]]}}}",
    ),
    ("init", "init: dirac", "init: eye"),
    ("model.output.init", "model: {name: linear, output: {init: dirac}}", "model: {name: linear, output: {init: eye}}"),
    (
        "model.layers.1.init",
        "model: {name: mlp, layers: [{units: 3}, {units: 3, init: dirac}]}",
        "model: {name: mlp, layers: [{units: 3}, {units: 3, init: zeros}]}",
    ),
    (
        "model.blocks.0.conv.init",
        "data: digits, model: {name: cnn, blocks: [{conv: {out_channels: 2, kernel_size: 1, init: eye}}]}",
        "data: digits, model: {name: cnn, blocks: [{conv: {out_channels: 2, kernel_size: 1, init: dirac}}]}",
    ),
    (
        "init",
        "data: digits, init: whitening, model: {name: cnn, blocks: [{conv: {out_channels: 2, kernel_size: 2}}]}",
        "data: digits, model: {name: cnn, blocks: [{conv: {out_channels: 2, kernel_size: 2, init: whitening}}]}",
    ),
    (
        "model.blocks.1.conv.init",
        "data: digits, model: {name: cnn, blocks: [{pool: {kernel_size: 2}}, "
        "{conv: {out_channels: 2, kernel_size: 2, init: whitening}}]}",
        "data: digits, model: {name: cnn, blocks: [{conv: {out_channels: 2, kernel_size: 2, init: whitening}}, "
        "{pool: {kernel_size: 2}}]}",
    ),
    (
        "model.blocks.0.conv.init",
        "data: {name: random, shape: [9, 3]}, "
        "model: {name: cnn, blocks: [{conv: {out_channels: 2, kernel_size: 2, init: whitening}}]}",
        "data: {name: random, shape: [1, 9, 3]}, "
        "model: {name: cnn, blocks: [{conv: {out_channels: 2, kernel_size: 2, init: whitening}}]}",
    ),
    (
        "model.blocks.0.conv.init",
        "data: {name: random, shape: [2, 9, 9]}, "
        "model: {name: cnn, blocks: [{conv: {out_channels: 4, kernel_size: 2, groups: 2, init: whitening}}]}",
        "data: {name: random, shape: [2, 9, 9]}, "
        "model: {name: cnn, blocks: [{conv: {out_channels: 4, kernel_size: 2, groups: 1, init: whitening}}]}",
    ),
    (
        "model.blocks.0.conv.init",
        "data: {name: random, shape: [1, 3, 3]}, "
        "model: {name: cnn, blocks: [{conv: {out_channels: 4, kernel_size: 5, padding: 2, init: whitening}}]}",
        "data: {name: random, shape: [1, 5, 5]}, "
        "model: {name: cnn, blocks: [{conv: {out_channels: 4, kernel_size: 5, padding: 2, init: whitening}}]}",
    ),
    (
        "model.blocks.0.conv.out_channels",
        "data: digits, model: {name: cnn, blocks: [{conv: {out_channels: 9, kernel_size: 2, init: whitening}}]}",
        "data: digits, model: {name: cnn, blocks: [{conv: {out_channels: 8, kernel_size: 2, init: whitening}}]}",
    ),
    (
        "model.blocks.0.conv.out_channels",
        "data: digits, "
        "model: {name: cnn, activation: maxout, blocks: [{conv: {out_channels: 5, kernel_size: 2, init: whitening}}]}",
        "data: digits, "
        "model: {name: cnn, activation: maxout, blocks: [{conv: {out_channels: 4, kernel_size: 2, init: whitening}}]}",
    ),
    (
        "model.blocks.0.conv.init.groups",
        "data: digits, "
        "model: {name: cnn, blocks: [{conv: {out_channels: 4, kernel_size: 1, init: {name: dirac, groups: 3}}}]}",
        "data: digits, "
        "model: {name: cnn, blocks: [{conv: {out_channels: 4, kernel_size: 1, init: {name: dirac, groups: 2}}}]}",
    ),
    (
        "model.output.init",
        "data: digits, model: {name: cnn, blocks: [{global_pool: avg}], output: {init: dirac}}",
        "data: digits, model: {name: cnn, blocks: [{global_pool: avg}], output: {init: eye}}",
    ),
    (
        "model.weights",
        "data: digits, model: {name: torchvision, arch: vgg11, weights: DEFAULT, pretrained: x}",
        "data: digits, model: {name: torchvision, arch: vgg11, pretrained: x}",
    ),
    (
        "model.freeze_epochs",
        "model: {name: mlp, freeze_epochs: 3}, train: {epochs: 3}",
        "model: {name: mlp, freeze_epochs: 3}, train: {epochs: 4}",
    ),
    (
        "model.freeze_epochs",
        "model: {name: mlp, freeze: ['hidden.0.*'], freeze_epochs: [2, null]}",
        "model: {name: mlp, freeze: ['hidden.0.*', '*.bias'], freeze_epochs: [2, null]}",
    ),
    (
        "model.activation",
        "model: {name: mlp, hidden: [3], activation: step, freeze: backbone, freeze_epochs: 2}",
        "model: {name: mlp, hidden: [3], activation: step, freeze: [backbone], freeze_epochs: [null]}",
    ),
    ("optimizer.backbone_lr", "optimizer: {lr: 0, backbone_lr: 0.1}", "optimizer: {lr: 1, backbone_lr: 0.1}"),
    (
        "optimizer.weight_decay",
        "optimizer: {name: sgd, weight_decay: 1.0e+30, backbone_lr: 1.0e+9}",
        "optimizer: {name: sgd, weight_decay: 1.0e+30, backbone_lr: 1.0e-9}",
    ),
    (
        "preprocess.normalize",
        "preprocess: {normalize: pretrained}",
        "model: {name: mlp, pretrained: x}, preprocess: {normalize: pretrained}",
    ),
    (
        "preprocess.zca",
        "data: digits, model: {name: torchvision, arch: vgg11, weights: DEFAULT}, "
        "preprocess: {normalize: pretrained, zca: true}",
        "data: digits, model: {name: torchvision, arch: vgg11, weights: DEFAULT}, preprocess: {normalize: pretrained}",
    ),
    ("init.a", "init: {name: uniform, a: 2}", "init: {name: uniform, a: 2, b: 3}"),
    ("init.a", "init: {name: trunc_normal, a: 1, b: -1}", "init: {name: trunc_normal, a: -1, b: 1}"),
    (
        "init.mean",
        "init: {name: trunc_normal, mean: 5}",
        "init: {name: trunc_normal, mean: 4}",
    ),
    ("init.bias.a", "init: {bias: {name: uniform, a: 0, b: -1}}", "init: {bias: {name: uniform, a: -1, b: 0}}"),
    (
        "model.activation.min_val",
        "model: {name: mlp, activation: {name: hardtanh, min_val: 1}}",
        "model: {name: mlp, activation: {name: hardtanh, min_val: 0.5}}",
    ),
    (
        "model.activation.num_parameters",
        "model: {name: mlp, activation: {name: prelu, num_parameters: 64}}",
        "model: {name: mlp, hidden: [64], activation: {name: prelu, num_parameters: 64}}",
    ),
    (
        "model.layers.0.activation.num_parameters",
        "model: {name: mlp, layers: [{units: 3, activation: {name: prelu, num_parameters: 2}}]}",
        "model: {name: mlp, layers: [{units: 3, activation: {name: prelu, num_parameters: 3}}]}",
    ),
    (
        "model.output.activation.num_parameters",
        "model: {name: mlp, output: {activation: {name: prelu, num_parameters: 2}}}",
        "model: {name: mlp, output: {activation: {name: prelu, num_parameters: 3}}}",
    ),
    ("loss", "loss: cross_entropy, data: sine", "loss: huber, data: sine"),
    (
        "loss",
        "loss: hinge, data: {name: arrays, path: x.npz, task: multilabel}",
        "loss: bce, data: {name: arrays, path: x.npz, task: multilabel}",
    ),
    (
        "loss.class_weights",
        "loss: {name: cross_entropy, class_weights: [1, 2]}",
        "loss: {name: cross_entropy, class_weights: [1, 2, 3]}",
    ),
    (
        "model.output.activation",
        "model: {name: mlp, output: {activation: sigmoid}}, loss: hinge",
        "model: {name: mlp, output: {activation: tanh}}, loss: hinge",
    ),
    (
        "model.output.activation",
        "model: {name: mlp, output: {activation: softmax}}, loss: hinge",
        "model: {name: mlp, output: {activation: identity}}, loss: hinge",
    ),
    (
        "model.output.activation",
        "model: {name: mlp, output: {activation: sigmoid}}",
        "model: {name: mlp, output: {activation: softmax}}",
    ),
    (
        "model.output.activation",
        "model: {name: mlp, output: {activation: sigmoid}}, loss: cross_entropy",
        "model: {name: mlp, output: {activation: sigmoid}}, loss: bce",
    ),
    (
        "model.output.activation",
        "model: {name: mlp, output: {activation: log_softmax}}, loss: bce",
        "model: {name: mlp, output: {activation: log_softmax}}, loss: cross_entropy",
    ),
    (
        "model.output.activation",
        "model: {name: mlp, output: {activation: softmax}}, data: {name: arrays, path: x.npz, task: multilabel}",
        "model: {name: mlp, output: {activation: sigmoid}}, data: {name: arrays, path: x.npz, task: multilabel}",
    ),
    (
        "model.output.activation",
        "model: {name: mlp, output: {activation: log_softmax}}, loss: mse",
        "model: {name: mlp, output: {activation: softmax}}, loss: mse",
    ),
    (
        "model.output.activation",
        "model: {name: mlp, output: {activation: softmax}}, loss: bce, data: breast_cancer",
        "model: {name: mlp, output: {activation: sigmoid}}, loss: bce, data: breast_cancer",
    ),
    (
        "model.output.activation",
        "model: {name: mlp, output: {activation: softmax}}, data: sine",
        "model: {name: mlp, output: {activation: softplus}}, data: sine",
    ),
    ("train.metrics.0", "train: {metrics: [mae]}", "train: {metrics: [f1]}"),
    ("train.metrics.1", "data: sine, train: {metrics: [mae, accuracy]}", "data: sine, train: {metrics: [mae, r2]}"),
    ("train.metrics.1", "train: {metrics: [f1, f1]}", "train: {metrics: [f1, recall]}"),
    ("train.monitor", "train: {monitor: val/f1}", "train: {monitor: val/f1, metrics: [f1]}"),
    ("train.monitor", "train: {monitor: accuracy}", "train: {monitor: train/accuracy}"),
    ("train.monitor", "train: {monitor: test/accuracy}", "train: {monitor: val/accuracy}"),
    ("train.monitor", "data: xor, train: {monitor: val/loss}", "data: xor, train: {monitor: train/loss}"),
    ("train.monitor", "data: {name: iris, split: {val: 0}}, train: {monitor: val/loss}", "train: {monitor: val/loss}"),
    (
        "train.monitor",
        "data: {name: arrays, path: x.npz}, train: {monitor: val/auc}",
        "data: {name: arrays, path: x.npz}, train: {monitor: val/r2}",
    ),
    ("train.mode", "train: {monitor: val/accuracy, mode: min}", "train: {monitor: val/accuracy, mode: max}"),
    ("train.mode", "train: {mode: max}", "train: {mode: min}"),
    (
        "optimizer.nesterov",
        "optimizer: {name: sgd, nesterov: true}",
        "optimizer: {name: sgd, nesterov: true, momentum: 0.9}",
    ),
    (
        "optimizer.nesterov",
        "optimizer: {name: sgd, nesterov: true, momentum: 0.9, dampening: 0.1}",
        "optimizer: {name: sgd, momentum: 0.9, dampening: 0.1}",
    ),
    ("regularization.l1", "optimizer: {lr: 1.0e+20}, regularization: {l1: 1.0e+20}", "regularization: {l1: 1.0e+20}"),
    ("optimizer.weight_decay", "optimizer: {lr: 1.0e+20, weight_decay: 1.0e+20}", "optimizer: {lr: 1.0e+20}"),
    (
        "scheduler.warmup_epochs",
        "scheduler: {warmup_epochs: 5}, train: {epochs: 5}",
        "scheduler: {warmup_epochs: 5}, train: {epochs: 6}",
    ),
    ("scheduler.interval", "scheduler: {name: plateau, interval: step}", "scheduler: {name: cosine, interval: step}"),
    (
        "scheduler.milestones",
        "scheduler: {name: multistep, milestones: [3, 3]}",
        "scheduler: {name: multistep, milestones: [3, 4]}",
    ),
    (
        "scheduler.milestones",
        "scheduler: {name: multistep, milestones: [4, 3]}",
        "scheduler: {name: multistep, milestones: []}",
    ),
    (
        "scheduler.eta_min",
        "scheduler: {name: cosine, eta_min: 0.1}",
        "scheduler: {name: cosine, eta_min: 0.1}, optimizer: {lr: 0.2}",
    ),
    (
        "scheduler.eta_min",
        "scheduler: {name: cosine_restarts, T_0: 3, eta_min: 0.1}",
        "scheduler: {name: cosine_restarts, T_0: 3, eta_min: 0.001}",
    ),
    (
        "scheduler.base_lr",
        "scheduler: {name: cyclic, base_lr: 0.1}",
        "scheduler: {name: cyclic, base_lr: 0.1}, optimizer: {lr: 0.1}",
    ),
    (
        "scheduler.base_lr",
        "scheduler: {name: cyclic, base_lr: 0.1, max_lr: 0.05}, optimizer: {lr: 0.2}",
        "scheduler: {name: cyclic, base_lr: 0.1, max_lr: 0.2}",
    ),
    (
        "scheduler.base_momentum",
        "scheduler: {name: one_cycle, base_momentum: 0.96}",
        "scheduler: {name: one_cycle, base_momentum: 0.95}",
    ),
    (
        "scheduler.pct_start",
        "scheduler: {name: one_cycle, three_phase: true, pct_start: 0.6}",
        "scheduler: {name: one_cycle, pct_start: 0.6}",
    ),
    (
        "scheduler.cycle_momentum",
        "scheduler: {name: one_cycle, cycle_momentum: true}, optimizer: rprop",
        "scheduler: {name: one_cycle, cycle_momentum: true}, optimizer: sgd",
    ),
    ("optimizer.etas", "optimizer: {name: rprop, etas: [1.2, 0.5]}", "optimizer: {name: rprop, etas: [0.6, 1.1]}"),
    (
        "optimizer.step_sizes",
        "optimizer: {name: rprop, step_sizes: [1, 0.5]}",
        "optimizer: {name: rprop, step_sizes: [0.5, 0.5]}",
    ),
    (
        "regularization.l1",
        "optimizer: lbfgs, regularization: {l1: 0.1}",
        "optimizer: lbfgs, regularization: {l2: 0.1}, train: {accumulate_grad_batches: 2}",
    ),
    ("train.clip_grad_norm", "optimizer: lbfgs, train: {clip_grad_norm: 1}", "train: {clip_grad_norm: 1}"),
    (
        "train.precision",
        "train: {precision: fp16-mixed, device: cpu}",
        "train: {precision: bf16-mixed, device: cpu}",
    ),
    ("train.precision", "train: {precision: fp16-mixed, device: mps}", "train: {precision: fp16-mixed, device: cuda}"),
    (
        "train.precision",
        "optimizer: lbfgs, train: {precision: fp16-mixed}",
        "optimizer: lbfgs, train: {precision: bf16-mixed}",
    ),
    ("loss", "loss: perceptron, data: sine", "loss: perceptron"),
    ("loss", "loss: multi_margin, data: sine", "loss: multi_margin"),
    ("loss", "loss: kl_div, data: sine", "loss: kl_div"),
    ("loss.class_weights", "loss: {name: focal, class_weights: [1]}", "loss: {name: focal, class_weights: [1, 2, 3]}"),
    (
        "model.output.activation",
        "model: {name: linear, output: {activation: softmax}}, loss: multi_margin",
        "model: {name: linear, output: {activation: softmax}}, loss: focal",
    ),
    (
        "model.output.activation",
        "model: {name: linear, output: {activation: sigmoid}}, loss: perceptron",
        "model: {name: linear, output: {activation: tanh}}, loss: perceptron",
    ),
    (
        "model.output.activation",
        "model: {name: linear, output: {activation: sigmoid}}, loss: nll",
        "model: {name: linear, output: {activation: log_softmax}}, loss: nll",
    ),
    (
        "model.output.activation",
        "model: {name: linear, output: {activation: step}}, loss: perceptron",
        "model: {name: linear, output: {activation: identity}}, loss: perceptron",
    ),
    (
        "model.activation",
        "model: {name: mlp, hidden: [3], activation: step}",
        "model: {name: mlp, hidden: [3], activation: step, freeze: backbone}",
    ),
    (
        "model.layers.1.activation",
        "model: {name: mlp, layers: [{units: 3}, {units: 3, activation: step}], freeze: ['hidden.1.*']}",
        "model: {name: mlp, layers: [{units: 3, activation: step}, {units: 3}], freeze: ['hidden.0.*']}",
    ),
    ("train.metrics.0", "train: {metrics: [top5_accuracy]}", "data: digits, train: {metrics: [top5_accuracy]}"),
    (
        "train.metrics.0",
        "loss: hinge, train: {metrics: [perplexity]}",
        "loss: hinge, train: {metrics: [auroc]}",
    ),
    ("train.metrics.0", "data: sine, train: {metrics: [auroc]}", "data: sine, train: {metrics: [mape]}"),
    # `loss: auto` is the perceptron loss.
    (
        "train.metrics.0",
        "model: perceptron, train: {metrics: [perplexity]}",
        "model: linear, train: {metrics: [perplexity]}",
    ),
    # For any data.
    (
        "train.metrics.0",
        f"{FILE}, loss: multi_margin, train: {{metrics: [perplexity]}}",
        f"{FILE}, loss: focal, train: {{metrics: [perplexity]}}",
    ),
    (
        "train.metrics.1",
        f"{FILE}, train: {{metrics: [mae, mae]}}",
        f"{FILE}, train: {{metrics: [mae, r2]}}",
    ),
    ("scheduler.min_lr", "scheduler: {name: plateau, min_lr: 0.1}", "scheduler: {name: plateau, min_lr: 0.001}"),
]


@pytest.mark.parametrize(("key", "broken", "good"), BROKEN, ids=[f"{key}: {broken}" for key, broken, _ in BROKEN])
def test_a_rule_refuses_and_accepts(key: str, broken: str, good: str) -> None:
    load_config(config_dict(good))
    with pytest.raises(ConfigError) as caught:
        load_config(config_dict(broken))
    (problem,) = caught.value.problems
    assert problem.startswith(f"config: {key}: ")
    assert problem.endswith((".", ")", "?"))
    assert caught.value.exit_code == 2


def test_the_command_line_checks_rules(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "digits_mlp", "model.output={activation: sigmoid}"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "override model.output={activation: sigmoid}: model.output.activation: cross_entropy needs probabilities that "
        "sum to 1, unlike those of sigmoid. Use softmax, identity or `loss: bce`.\n"
    )


@pytest.mark.parametrize(
    ("facts", "key"),
    [
        (Facts("regression", "features", 0, 1, (4,), has_val=True, has_test=True), "loss"),
        (Facts("classification", "tokens", 3, 0, (4,), has_val=True, has_test=True), "model"),
        (Facts("classification", "features", 4, 0, (4,), has_val=True, has_test=True), "loss.class_weights"),
        (Facts("classification", "features", 3, 0, (4,), has_val=False, has_test=True), "train.monitor"),
        (Facts("classification", "features", 3, 0, (1,), has_val=True, has_test=True), "preprocess.pca.n_components"),
    ],
)
def test_rules_are_checked_again_on_the_facts_of_the_data(facts: Facts, key: str) -> None:
    config = load_config(
        config_dict(
            f"{FILE}, preprocess: {{normalize: none, pca: {{n_components: 2}}}}, train: {{monitor: val/loss}}, "
            "loss: {name: cross_entropy, class_weights: [1, 2, 3]}"
        )
    )
    check_facts(config, Facts("classification", "features", 3, 0, (4,), has_val=True, has_test=True))
    with pytest.raises(ConfigError) as caught:
        check_facts(config, facts)
    assert f"config: {key}: " in str(caught.value)


def test_batch_norm_needs_two_samples() -> None:
    config = load_config(config_dict("model: {name: mlp, batch_norm: true}"))
    two = Facts("classification", "features", 3, 0, (4,), has_val=True, has_test=True, num_train=2)
    check_facts(config, two)
    with pytest.raises(
        ConfigError, match="config: model: batch_norm needs at least two samples per batch, but the train"
    ):
        check_facts(config, dataclasses.replace(two, num_train=1))


def test_preprocessing_of_tokens_is_refused() -> None:
    tokens = "data: {name: arrays, path: x.npz, layout: tokens}"
    for steps in ("normalize: standardize", "pca: {n_components: 2}", "zca: true"):
        with pytest.raises(ConfigError, match="config: preprocess: tokens are categories, which can't"):
            load_config(config_dict(f"{tokens}, preprocess: {{{steps}}}"), custom_model=True)
    load_config(config_dict(f"{tokens}, preprocess: {{normalize: none}}"), custom_model=True)


def test_a_missing_val_split_is_given_as_the_reason() -> None:
    with pytest.raises(
        ConfigError, match=r"'val/loss' is not computed in this run\. There is no val split\. Did you mean"
    ):
        load_config({"data": "xor", "model": "mlp", "train": {"monitor": "val/loss"}})


def test_a_custom_model_needs_no_section() -> None:
    assert load_config({"data": "iris"}, custom_model=True).model.name == "custom"
    with pytest.raises(ConfigError, match="config: model: missing"):
        load_config({"data": "iris"})
