"""Image folders: training, resuming, evaluating and predicting, on the command line and from Python."""

from __future__ import annotations

import csv
import gzip
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import nnzoo
from nnzoo.cli.app import run as command
from nnzoo.config import load_config
from nnzoo.errors import ConfigError, DataError
from nnzoo.experiment.prepare import fetch, prepare
from nnzoo.training.processes.group import Group

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(0)
CNN = {"name": "cnn", "blocks": [{"conv": {"out_channels": 4, "kernel_size": 3}}, {"global_pool": "avg"}]}
AUGMENT: list[Any] = [
    "horizontal_flip",
    {"name": "random_crop", "padding": 1},
    {"name": "color_jitter", "brightness": 0.2, "hue": 0.1},
    {"name": "noise", "sigma": 0.05},
    "mixup",
]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def save(path: str, color: int) -> None:
    """Returns a noisy image whose channel `color` is bright."""
    pixels = RNG.integers(0, 120, (8, 8, 3), dtype=np.uint8)
    pixels[:, :, color] += 100
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def photos(folder: str = "photos", count: int = 12) -> None:
    for color, name in enumerate(("red", "green", "blue")):
        for index in range(count):
            save(f"{folder}/{name}/{index:02}.png", color)


def image_config(**others: Any) -> dict[str, Any]:
    data = {"name": "image_folder", "path": "photos"}
    train = {"epochs": 3, "batch_size": 8, "device": "cpu"}
    return {
        "name": "r",
        "data": data,
        "model": CNN,
        "optimizer": {"name": "adam", "lr": 0.02},
        "train": train,
        **others,
    }


def table(path: str | Path) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(path).read_text().splitlines()))


@pytest.mark.slow
def test_a_new_process_predicts_from_the_artifact_like_the_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    photos("photos/train")
    photos("photos/test", 5)
    run = nnzoo.train(image_config(train={"epochs": 8, "batch_size": 8, "device": "cpu"}), quiet=True)
    assert run.metrics["test/accuracy"] >= 0.9  # baseline 1/3
    known = table("runs/r/predictions.csv")
    artifact = (tmp_path / "runs/r/best.safetensors").rename(tmp_path / "best.safetensors")
    (tmp_path / "photos/train").rename(tmp_path / "gone")
    told = {**os.environ, "PYTHONPATH": str(ROOT)}
    arguments = [sys.executable, "-m", "nnzoo", "predict", str(artifact), "photos/test", "--output", "out.csv"]
    subprocess.run(arguments, check=True, env=told, cwd=tmp_path, timeout=300)
    found = table("out.csv")
    # The run has them class by class, and classes are sorted like files.
    assert [Path(row["input"]).parent.name for row in found] == [row["target"] for row in known]
    for row, expected in zip(found, known, strict=True):
        assert row["prediction"] == expected["prediction"]
        for name in ("red", "green", "blue"):
            key = f"probability_{name}"
            assert float(row[key]) == pytest.approx(float(expected[key]), rel=1e-5)
    assert command(["eval", str(artifact), "--data", "photos/test", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    for name in ("accuracy", "loss"):
        assert measured["metrics"][name] == pytest.approx(run.metrics[f"test/{name}"], rel=1e-6)


def test_files_arrays_of_bytes_and_of_numbers_are_the_same_images() -> None:
    photos()
    model = nnzoo.train(image_config(), quiet=True).model
    files = [f"photos/{name}/00.png" for name in ("red", "green", "blue")]
    pixels = np.stack([np.array(Image.open(file)).transpose(2, 0, 1) for file in files])
    expected = model.predict_proba(pixels)
    assert np.array_equal(model.predict_proba(files), expected)
    assert np.array_equal(model.predict_proba([Path(file) for file in files]), expected)
    assert np.array_equal(model.predict_proba(files[0]), model.predict_proba(pixels[:1]))
    assert np.array_equal(model.predict_proba(torch.tensor(pixels)), expected)
    np.testing.assert_allclose(model.predict_proba(pixels / 255), expected, rtol=1e-5)
    assert list(model.predict(files)) == [model.classes[index] for index in expected.argmax(1)]
    with pytest.raises(DataError, match=r"has pixels outside \[0, 1\] \(got 0 to 255\)\. Save them as uint8"):
        model.predict(pixels.astype(np.float32) / pixels.max() * 255 // 1)
    with pytest.raises(DataError, match=r"none\.png: there is no such file"):
        model.predict(["none.png"])


def test_predicting_names_broken_files_and_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    photos()
    assert command_of("train") == 0
    capsys.readouterr()
    Image.open("photos/red/00.png").resize((30, 20)).convert("L").save("large grey.jpg")
    np.save("x.npy", np.zeros((2, 3, 8, 8), dtype=np.uint8))
    assert command(["predict", "r", "large grey.jpg", "photos/blue", "x.npy"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [row["input"] for row in rows] == [
        "large grey.jpg",
        *(f"photos/blue/{i:02}.png" for i in range(12)),
        "0",
        "1",
    ]
    Path("empty").mkdir()
    np.save("wide.npy", np.zeros((2, 3, 8, 9), dtype=np.uint8))
    np.save("bright.npy", np.full((2, 3, 8, 8), 7.0))
    for given, message in (
        ("none.png", "none.png: there is no such file"),
        ("empty", "empty: is a folder without images"),
        ("wide.npy", "has images of a different shape than the training data (got (3, 8, 9); expected (3, 8, 8))"),
        ("bright.npy", "bright.npy: x: has pixels outside [0, 1] (got 7 to 7)"),
    ):
        assert command(["predict", "r", given]) == 3
        assert message in capsys.readouterr().err
    save("other/pink/0.png", 0)
    assert command(["eval", "r", "--data", "other"]) == 3
    assert "other/pink: is not a class of the training data (expected blue, green, red)" in capsys.readouterr().err
    assert command(["eval", "r", "--data", "empty"]) == 3
    assert "empty: has no class folders" in capsys.readouterr().err


def test_one_broken_image_does_not_stop_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    photos()
    assert command_of("train") == 0
    Path("photos/blue/99.png").write_bytes(b"no image")
    Path("photos/blue/notes.txt").write_text("no image")
    capsys.readouterr()
    assert command(["predict", "r", "photos/blue", "photos/red/00.png", "gone.png", "--output", "p.csv"]) == 3
    names = [row["input"] for row in csv.DictReader(Path("p.csv").read_text().splitlines())]
    assert names == [*(f"photos/blue/{i:02}.png" for i in range(12)), "photos/red/00.png"]
    error = capsys.readouterr().err
    assert "nnzoo: photos/blue/99.png: can't be read as an image: it is not an image" in error
    assert "nnzoo: gone.png: there is no such file" in error
    assert "warning: 1 file that is not an image was left out (photos/blue/notes.txt)" in error
    assert command(["predict", "r", "photos/blue", "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert (told["num_samples"], len(told["broken"])) == (12, 1)
    assert command(["predict", "r", "photos/blue", "--strict", "--output", "q.csv"]) == 3
    assert not Path("q.csv").exists()
    assert "99.png" in capsys.readouterr().err
    model = nnzoo.load("r")
    with pytest.raises(DataError, match=r"99\.png: can't be read"):
        model.predict(["photos/blue/00.png", "photos/blue/99.png"])
    assert command(["eval", "r", "--data", "photos", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["num_samples"] == 36
    assert any("1 of 37 images can't be read and are left out: photos/blue/99.png" in each for each in told["warnings"])
    Path("photos/blue/99.png").unlink()
    assert command(["predict", "r", "photos/blue", "--strict"]) == 3
    Path("photos/blue/notes.txt").unlink()
    assert command(["predict", "r", "photos/blue", "--strict"]) == 0


def command_of(verb: str, *arguments: str, **others: Any) -> int:
    Path("r.yaml").write_text(json.dumps(image_config(**others)))
    return command([verb, "r.yaml", "-q", *arguments] if verb == "train" else [verb, "r.yaml", *arguments])


@pytest.mark.parametrize(
    ("make", "code", "message"),
    [
        (lambda: None, 3, "photos: there is no such folder"),
        (lambda: Path("photos/a").mkdir(parents=True), 3, "photos: has no images in its class folders"),
        (lambda: save("photos/a/0.png", 0), 3, "photos: has images of only one class"),
    ],
)
def test_invalid_folders_end_with_exit_code_3(
    make: Any, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make()
    assert command_of("train") == code
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def fit_on(data: dict[str, Any], **others: Any) -> Any:
    return prepare(load_config(image_config(data=data, **others)))


def test_statistics_are_of_values_from_0_to_1_and_images_stay_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    photos()
    experiment = fit_on({"name": "image_folder", "path": "photos"})
    pixels = experiment.dataset.train.inputs.double() / 255
    state = experiment.preprocess.state_dict()
    torch.testing.assert_close(state["shift"].flatten().double(), pixels.mean((0, 2, 3)), rtol=1e-6, atol=0)
    torch.testing.assert_close(
        state["scale"].flatten().double(), pixels.std((0, 2, 3), correction=0), rtol=1e-6, atol=0
    )
    train = experiment.splits["train"]
    assert train.inputs.dtype == torch.uint8
    assert train.inputs.data_ptr() == experiment.dataset.train.inputs.data_ptr()
    recorded = train.network_inputs(slice(0, len(train)))
    torch.testing.assert_close(recorded.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(recorded.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)
    plain = fit_on({"name": "image_folder", "path": "photos"}, preprocess={"normalize": "none"}).splits["train"]
    assert torch.equal(plain.network_inputs(slice(2)), plain.inputs[:2].float() / 255)


@pytest.mark.slow
@pytest.mark.parametrize("projection", [{"zca": True}, {"pca": {"n_components": 5}}])
def test_projections_transform_the_entire_set(projection: dict[str, Any]) -> None:
    photos()
    experiment = fit_on({"name": "image_folder", "path": "photos"}, preprocess=projection, model="mlp")
    train = experiment.splits["train"]
    assert train.inputs.dtype == torch.float32
    assert train.finish is None
    rows = experiment.dataset.train.inputs.float() / 255
    torch.testing.assert_close(train.inputs, experiment.preprocess(rows))
    run = nnzoo.train(image_config(preprocess=projection, model="mlp"), quiet=True)
    assert run.model.predict(["photos/red/00.png"]).shape == (1,)


def weights(folder: str) -> bytes:
    return Path(folder, "best.safetensors").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(
    cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    photos()
    config = image_config(augment=AUGMENT)
    for name in ("a", "b"):
        nnzoo.train(config, overrides={"data.cache": cache} if name == "b" else {}, name=name, quiet=True)
    nnzoo.train(config, overrides={"seed": 1}, name="c", quiet=True)
    nnzoo.train(image_config(), name="plain", quiet=True)
    states = [nnzoo.load(f"runs/{name}").module.state_dict() for name in ("a", "b", "c", "plain")]
    same = [all(torch.equal(states[0][key], state[key]) for key in state) for state in states]
    assert same == [True, True, False, False]


def test_one_of_several_processes_decodes_to_the_disk_before_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    photos()
    found: list[bool] = []

    class Two(Group):
        size = 2

        def from_first(self, compute: Callable[[], Any]) -> Any:
            compute()
            found.extend(path.suffix == ".u8" for path in (tmp_path / "cache/nnzoo/images").iterdir())

    fetch(load_config(image_config(), {"data.cache": "memory"}), Two())
    assert not found
    fetch(load_config(image_config(), {"data.cache": "disk"}), Two())
    assert any(found)


@pytest.mark.slow
@pytest.mark.parametrize("at", [2, 7])
def test_resuming_inside_an_epoch_ends_with_the_same_weights(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    photos()
    every = {"every_steps": 1, "every_minutes": None}
    train = {"epochs": 3, "batch_size": 4, "device": "cpu", "checkpoint": every}
    config = image_config(augment=[*AUGMENT, "cutmix", "erasing"], train=train)
    nnzoo.train(config, name="uninterrupted", quiet=True)
    from nnzoo.training import checkpoints, single, step

    plain = step.train_step
    taken: list[int] = []

    def killed(*arguments: Any) -> None:
        if len(taken) == at:
            raise KeyboardInterrupt
        taken.append(1)
        plain(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "MIN_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
        patched.setattr(single, "train_step", killed)
        with pytest.raises(KeyboardInterrupt):
            nnzoo.train(config, name="cut", quiet=True)
    nnzoo.train(config, name="cut", resume=True, quiet=True)
    assert weights("runs/cut") == weights("runs/uninterrupted")


def test_val_and_test_are_never_augmented() -> None:
    photos()
    experiment = fit_on({"name": "image_folder", "path": "photos"}, augment=AUGMENT)
    plain = fit_on({"name": "image_folder", "path": "photos"})
    for name in ("val", "test"):
        rows = slice(0, len(plain.splits[name]))
        assert torch.equal(experiment.splits[name].network_inputs(rows), plain.splits[name].network_inputs(rows))


def test_images_of_other_sources_are_augmented_before_normalization() -> None:
    """The border that a crop adds is 0 before normalization."""
    digits = {"data": "digits", "model": "linear", "augment": [{"name": "random_crop", "padding": 7}]}
    experiment = prepare(load_config(digits))
    train = experiment.splits["train"]
    assert torch.equal(train.inputs, experiment.dataset.train.inputs)
    assert experiment.settings.augment is not None
    moved, _ = experiment.settings.augment(train.inputs[:64], train.targets[:64])
    border = experiment.preprocess(torch.zeros(1, 1, 1, 1))
    assert train.finish is not None
    assert bool((train.finish(moved)[moved == 0] == border.flatten()).all())


@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "kl_div", "bce"])
@pytest.mark.parametrize("classes", [2, 3])
def test_mixed_targets_train_with_every_loss_of_probabilities(loss: str, classes: int) -> None:
    data = {"name": "random", "shape": [1, 6, 6], "classes": classes, "samples": 60}
    config = {"data": data, "model": "linear", "loss": loss, "augment": ["mixup", "cutmix"], "train": {"epochs": 2}}
    run = nnzoo.train(config, quiet=True)
    assert run.history["train/loss"][-1] > 0


@pytest.mark.parametrize("augment", [[], ["noise"]])
def test_restarts_read_bytes_and_each_is_augmented_separately(augment: list[str]) -> None:
    photos()
    train = {"epochs": 2, "batch_size": 8, "device": "cpu", "restarts": 2}
    run = nnzoo.train(image_config(model="mlp", augment=augment, train=train), quiet=True)
    assert run.result["restarts"]["how"] == ("one after another" if augment else "batched")
    best = run.result["restarts"]["best"]
    alone = image_config(model="mlp", augment=augment, seed=best, train={**train, "restarts": 1})
    expected = nnzoo.train(alone, name="alone", quiet=True).metrics["val/loss"]
    assert run.metrics["val/loss"] == pytest.approx(expected, rel=1e-4)


def test_features_and_sequences_can_have_noise() -> None:
    for data in ("iris", {"name": "random", "shape": [5, 3], "samples": 60}):
        config = {"data": data, "model": "linear", "augment": ["noise"], "train": {"epochs": 2}}
        assert nnzoo.train(config, quiet=True).config.augment[0].clip is False  # type: ignore[union-attr]


def test_doctor_reads_bytes_and_names_files(capsys: pytest.CaptureFixture[str]) -> None:
    photos()
    Path("photos/red/99.png").write_bytes(Path("photos/blue/03.png").read_bytes())
    assert command_of("doctor") in (0, 5)
    told = capsys.readouterr().out
    assert "photos/red/99.png" in told
    assert "photos/blue/03.png" in told


MNIST = {"name": "mnist", "root": "none", "download": False}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"data": "iris", "augment": ["horizontal_flip"]},
            "augment.0: horizontal_flip is for images, but this data is fea",
        ),
        ({"data": "iris", "augment": ["noise", "cutmix"]}, "augment.1: cutmix is for images"),
        (
            {"data": {"name": "random", "shape": [4, 3]}, "augment": ["mixup"]},
            "is for features or images, but this data is seq",
        ),
        ({"data": "sine", "augment": ["mixup"]}, "augment.0: mixup is for classification, but this task is regression"),
        (
            {"augment": ["mixup"], "loss": "hinge"},
            "augment.0: mixup turns targets into probabilities, which hinge does not support",
        ),
        ({"augment": ["cutmix"], "train": {"batch_size": 1}}, "train.batch_size: cutmix needs at least two samples"),
        ({"augment": ["color_jitter"]}, "augment.0: color_jitter has no effect"),
        ({"augment": [{"name": "color_jitter", "hue": 0.1}]}, "augment.0.hue: grayscale images have no color"),
        (
            {"data": "digits", "augment": [{"name": "color_jitter", "contrast": 1}]},
            "for pixels in [0, 1], but the inputs are not",
        ),
        (
            {"data": "digits", "augment": [{"name": "noise", "clip": True}]},
            "augment.0.clip: the inputs are not pixels",
        ),
        (
            {"augment": [{"name": "random_crop", "padding": 28}]},
            "augment.0.padding: expected less than the image's 28",
        ),
        ({"augment": [{"name": "random_crop", "padding": [0, 0]}]}, "augment.0.padding: without padding"),
        (
            {"augment": [{"name": "random_crop", "padding": [1, 2, 3]}]},
            "expected one, two or four numbers of pixels, got 3",
        ),
        ({"augment": [{"name": "rotation", "degrees": [9, -9]}]}, "augment.0.degrees: expected two increasing numbers"),
        ({"augment": [{"name": "erasing", "ratio": [1]}]}, "augment.0.ratio: expected two increasing numbers"),
        ({"augment": ["erasing"], "preprocess": {"pca": {"n_components": 3}}}, "augment.0: pca turns images into comp"),
        (
            {"data": {"name": "image_folder", "path": "x", "size": [1, 2, 3]}},
            "data.size: expected a number, or [height",
        ),
    ],
)
def test_invalid_configs_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config({"data": MNIST, "model": "linear", **config})
    assert message in str(caught.value)


def test_summary_and_validate_need_no_files(capsys: pytest.CaptureFixture[str]) -> None:
    config = {"data": {**MNIST, "classes": [3, 5]}, "model": "lenet5", "augment": ["noise"]}
    Path("c.yaml").write_text(json.dumps(config))
    assert command(["validate", "c.yaml"]) == 0
    assert command(["summary", "c.yaml", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.split("valid\n")[-1])
    assert found["input_shape"] == [1, 28, 28]
    assert found["layers"][-1]["output_shape"][-1] == 2
    assert command(["train", "c.yaml", "-q"]) == 3
    assert "none/MNIST/raw/train-images-idx3-ubyte.gz" in capsys.readouterr().err


def test_a_network_of_a_known_set_reads_image_files(capsys: pytest.CaptureFixture[str]) -> None:
    for name, values in {
        "train-images-idx3-ubyte": RNG.integers(0, 256, (40, 28, 28), dtype=np.uint8),
        "t10k-images-idx3-ubyte": RNG.integers(0, 256, (10, 28, 28), dtype=np.uint8),
        "train-labels-idx1-ubyte": (np.arange(40) % 10).astype(np.uint8),
        "t10k-labels-idx1-ubyte": np.arange(10, dtype=np.uint8),
    }.items():
        header = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}i", *values.shape)
        Path(f"{name}.gz").write_bytes(gzip.compress(header + values.tobytes()))
        if name == "t10k-images-idx3-ubyte":
            test_images = values
    data = {"name": "fashion_mnist", "root": ".", "download": False, "split": {"val": 0.25}}
    nnzoo.train(image_config(data=data, model="linear"), quiet=True)
    Path("new/T-shirt_top").mkdir(parents=True)
    for index, image in enumerate(test_images):
        Image.fromarray(image).save(f"new/T-shirt_top/{index}.png")
    known = table("runs/r/predictions.csv")
    assert command(["predict", "r", "new"]) == 0
    found = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [row["prediction"] for row in found] == [row["prediction"] for row in known]
    assert command(["eval", "r", "--data", "new", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["num_samples"] == 10
    assert command(["eval", "r", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)["metrics"]
    assert measured["loss"] == json.loads(Path("runs/r/result.json").read_text())["metrics"]["test/loss"]
