"""Error messages of invalid configs, with their places."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnzoo.config import dump, load_config
from nnzoo.errors import ConfigError

VALID = "data: digits\nmodel: mlp\n"


@pytest.fixture(autouse=True)
def _inside_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def problems(text: str, *overrides: str) -> list[str]:
    """Returns each problem of a config with its line and caret."""
    Path("c.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config("c.yaml", overrides)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return list(caught.value.problems)


def first_lines(text: str, *overrides: str) -> list[str]:
    return [problem.split("\n")[0] for problem in problems(text, *overrides)]


def test_place_line_and_caret() -> None:
    Path("configs").mkdir()
    Path("configs/my.yaml").write_text("data: digits\nmodel: mlp\noptimizer:\n  lr_rate: 1e-3\nscheduler: cosin\n")
    with pytest.raises(ConfigError) as caught:
        load_config("configs/my.yaml")
    assert str(caught.value) == (
        "configs/my.yaml:4:3: optimizer.lr_rate: unknown key. Did you mean 'lr'? "
        "(name, lr, backbone_lr, betas, eps, weight_decay, amsgrad)\n"
        "      lr_rate: 1e-3\n"
        "      ^\n"
        "configs/my.yaml:5:12: scheduler: 'cosin' is not a scheduler. Did you mean 'cosine'? "
        "(constant, step, multistep, exponential, linear, polynomial, cosine, cosine_restarts, one_cycle, cyclic, "
        "plateau)\n"
        "    scheduler: cosin\n"
        "               ^"
    )
    assert caught.value.where == "configs/my.yaml:4:3"


def test_a_file_elsewhere_keeps_its_path(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("data: digits\n")
    with pytest.raises(ConfigError, match=r"^c\.yaml:1:1: model: missing"):
        load_config(path)
    (tmp_path / "inner").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path / "inner")
        with pytest.raises(ConfigError) as caught:
            load_config(path)
        assert str(caught.value).startswith(f"{path}:1:1: model: missing")
        with pytest.raises(ConfigError, match=r"^\.\./c\.yaml:1:1: model: missing"):
            load_config("../c.yaml")


@pytest.mark.parametrize(
    ("line", "column", "blanks"),
    [
        ("train: {monitor: 'é', epohcs: 3}", 23, 22),
        ("train: {monitor: 'e\u0301', epohcs: 3}", 24, 22),
        ("train: {monitor: '日本', epohcs: 3}", 24, 25),
        ("train: {monitor: 'a\tb', epohcs: 3}", 25, 24),
    ],
)
def test_the_caret_is_below_the_value(line: str, column: int, blanks: int) -> None:
    (problem,) = problems(f"{VALID}{line}\n")
    first, shown, caret = problem.split("\n")
    assert first.startswith(f"c.yaml:3:{column}: train.epohcs: unknown key. Did you mean 'epochs'?")
    assert shown == "    " + line.replace("\t", " ")
    assert caret == " " * (4 + blanks) + "^"


def test_all_problems_are_listed_in_file_order() -> None:
    found = first_lines(
        "trian: {epochs: 3}\n"
        "model: {name: mlp, layers: [{units: 3, actvation: relu}, {activation: rleu}, {units: x}]}\n"
        "optimizer: {name: sgd, lr: fast, momentum: -1}\n"
        "seed: 1.5\n",
        "train.batch_size=0",
    )
    assert [line.split(": ")[:2] for line in found] == [
        ["c.yaml:1:1", "data"],
        ["c.yaml:1:1", "trian"],
        ["c.yaml:2:40", "model.layers.0.actvation"],
        ["c.yaml:2:58", "model.layers.1.units"],
        ["c.yaml:2:71", "model.layers.1.activation"],
        ["c.yaml:2:86", "model.layers.2.units"],
        ["c.yaml:3:28", "optimizer.lr"],
        ["c.yaml:3:44", "optimizer.momentum"],
        ["c.yaml:4:7", "seed"],
        ["override train.batch_size=0", "train.batch_size"],
    ]


def test_an_unknown_section_gives_only_one_problem() -> None:
    found = first_lines(
        "data: {name: digit, split: 3, foo: bar}\n"
        "model: {name: mlp, activation: {name: rleu, alpha: x}, dropout: 2}\n"
        "optimizer: {name: sdg, lr: fast}\n"
        "train: {epochs: x}\n"
    )
    assert [line.split(": ")[:3] for line in found] == [
        ["c.yaml:1:14", "data.name", "'digit' is not a data source. Did you mean 'digits'? (" + SOURCES],
        ["c.yaml:2:39", "model.activation.name", found[1].split(": ", 2)[2]],
        ["c.yaml:2:65", "model.dropout", "expected less than 1, got 2."],
        ["c.yaml:3:19", "optimizer.name", "'sdg' is not an optimizer. Did you mean 'sgd'? (" + OPTIMIZERS],
        ["c.yaml:4:17", "train.epochs", "expected an integer, got 'x'."],
    ]
    assert found[1].split(": ", 2)[2].startswith("'rleu' is not an activation. Did you mean 'relu'? (identity, relu,")


OPTIMIZERS = "sgd, adam, adamw, rmsprop, adagrad, adadelta, adamax, nadam, radam, rprop, muon, lbfgs)"
SOURCES = (
    "xor, and, or, nand, moons, circles, spirals, blobs, sine, adding, random, digits, iris, wine, breast_cancer, "
    "diabetes, mnist, fashion_mnist, kmnist, cifar10, cifar100, svhn, arrays, csv, image_folder, text, language, "
    "series, trees)"
)


def test_rules_across_sections_wait_for_valid_sections() -> None:
    rule = "model: {name: linear, output: {activation: softmax}}\nloss: hinge\n"
    assert "hinge expects signed margins" in problems(f"data: iris\n{rule}")[0]
    assert first_lines(f"data: iris\n{rule}sed: 3\n")[0].startswith(
        "c.yaml:4:1: sed: unknown key. Did you mean 'seed'?"
    )
    assert len(problems(f"data: iris\n{rule}sed: 3\n")) == 1


def test_all_broken_rules_are_listed() -> None:
    found = first_lines(
        "data: {name: iris, split: {val: 0.6, test: 0.6}}\nmodel: mlp\n"
        "optimizer: {name: sgd, nesterov: true}\ntrain: {metrics: [mae]}\n"
    )
    assert [line.split(": ")[1] for line in found] == ["data.split", "optimizer.nesterov", "train.metrics.0"]


KEYS = {
    "optimizer": [
        ("lr_rate", "lr"),
        ("learning_rate", "lr"),
        ("LR", "lr"),
        ("learning-rate", "lr"),
        ("wd", "weight_decay"),
        ("weight-decay", "weight_decay"),
        ("weigth_decay", "weight_decay"),
        ("beta1", "betas"),
        ("epsilon", "eps"),
        ("type", "name"),
        ("kind", "name"),
        ("nmae", "name"),
    ],
    "model": [
        ("hidden_layers", "hidden"),
        ("hidden_sizes", "hidden"),
        ("hiden", "hidden"),
        ("neurons", "hidden"),
        ("act", "activation"),
        ("nonlinearity", "activation"),
        ("activaton", "activation"),
        ("batchnorm", "batch_norm"),
        ("bn", "batch_norm"),
        ("dropout_rate", "dropout"),
        ("drop", "dropout"),
        ("output_activation", "output"),
        ("Layers", "layers"),
    ],
    "train": [
        ("epohcs", "epochs"),
        ("num_epochs", "epochs"),
        ("max_epochs", "epochs"),
        ("epoch", "epochs"),
        ("batch", "batch_size"),
        ("batchsize", "batch_size"),
        ("early_stop", "early_stopping"),
        ("grad_clip", "clip_grad_norm"),
        ("metric", "metrics"),
        ("lr", "optimizer.lr"),
        ("learning_rate", "optimizer.lr"),
        ("patience", "train.early_stopping.patience"),
        ("min_delta", "train.early_stopping.min_delta"),
        ("every_epochs", "train.checkpoint.every_epochs"),
        ("dropout", "model.dropout"),
    ],
    "": [
        ("trian", "train"),
        ("dataset", "data"),
        ("network", "model"),
        ("initialization", "init"),
        ("initializer", "init"),
        ("criterion", "loss"),
        ("optim", "optimizer"),
        ("optimiser", "optimizer"),
        ("lr_scheduler", "scheduler"),
        ("regularisation", "regularization"),
        ("random_state", "seed"),
        ("training", "train"),
        ("epochs", "train.epochs"),
        ("batch_size", "train.batch_size"),
        ("hidden", "model.hidden"),
        ("learning_rate", "optimizer.lr"),
        ("device", "train.device"),
    ],
}


@pytest.mark.parametrize(("section", "word", "meant"), [(key, *pair) for key, pairs in KEYS.items() for pair in pairs])
def test_unknown_keys_get_a_suggestion(section: str, word: str, meant: str) -> None:
    line = f"{section}: {{{word}: 3}}" if section else f"{word}: 3"
    if section == "model":
        line = f"model: {{name: mlp, {word}: 3}}"
    text = f"data: digits\n{line}\n" + ("" if section == "model" else "model: mlp\n")
    dotted = f"{section}.{word}" if section else word
    (found,) = first_lines(text)
    assert f": {dotted}: unknown key. Did you mean '{meant}'? (" in found


@pytest.mark.parametrize(
    ("text", "word", "meant"),
    [
        ("init: glorot", "glorot", "xavier_uniform"),
        ("init: he", "he", "kaiming_normal"),
        ("init: he_uniform", "he_uniform", "kaiming_uniform"),
        ("init: gaussian", "gaussian", "normal"),
        ("init: {name: auto, bias: zero}", "zero", "zeros"),
        ("scheduler: cosin", "cosin", "cosine"),
        ("scheduler: {name: step_lr, step_size: 3}", "step_lr", "step"),
        ("scheduler: reduce_on_plateau", "reduce_on_plateau", "plateau"),
        ("optimizer: Adam", "Adam", "adam"),
        ("optimizer: adam lr=1", "adam lr=1", "adam"),
        ("optimizer: RMSprop", "RMSprop", "rmsprop"),
        ("loss: ce", "ce", "cross_entropy"),
        ("loss: crossentropy", "crossentropy", "cross_entropy"),
        ("loss: cross-entropy", "cross-entropy", "cross_entropy"),
        ("loss: binary_cross_entropy", "binary_cross_entropy", "bce"),
        ("loss: MAE", "MAE", "mae"),
    ],
)
def test_unknown_names_get_a_suggestion(text: str, word: str, meant: str) -> None:
    (found,) = first_lines(f"{VALID}{text}\n")
    assert f"'{word}' is not an" in found or f"'{word}' is not a" in found
    assert f" Did you mean '{meant}'? (" in found


@pytest.mark.parametrize("word", ["zzz", "qwertz"])
def test_nothing_is_suggested_without_a_similar_name(word: str) -> None:
    assert first_lines(f"{VALID}{word}: 3\n")[0].startswith(f"c.yaml:3:1: {word}: unknown key. (name, seed,")


def test_a_missing_key_has_the_place_of_its_section() -> None:
    (found,) = problems(f"{VALID}init:\n  name: constant\n  bias: 0.1\n")
    assert found == ("c.yaml:3:1: init.val: missing required key. (the value)\n    init:\n    ^")


def test_problems_of_a_dict_have_its_keys() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config({"data": "digits", "model": {"name": "mlp", "hiden": (3,)}})
    assert str(caught.value).startswith("config: model.hiden: unknown key. Did you mean 'hidden'?")


def test_a_name_and_a_mapping_are_the_same_section() -> None:
    short = load_config({"data": "digits", "model": "mlp", "init": "auto"})
    long = load_config({"data": {"name": "digits"}, "model": {"name": "mlp"}, "optimizer": {}, "loss": {}, "init": {}})
    assert dump(short) == dump(long)
