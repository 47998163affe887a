"""Keras on torch: the same networks in Keras layers, with `compile` and `fit`."""

import os
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import keras
from keras import layers

from benchmarks.laps import Lap
from benchmarks.workloads import LEARNING_RATE, NETWORKS, NUM_CLASSES, Job

LAYERS: dict[str, list[Any]] = {
    "small": [layers.Dense(16, "relu")],
    "mlp": [layers.Dense(256, "relu"), layers.Dense(128, "relu")],
    "lenet": [
        layers.Conv2D(6, 5, padding="same", activation="relu", data_format="channels_first"),
        layers.MaxPooling2D(2, data_format="channels_first"),
        layers.Conv2D(16, 5, activation="relu", data_format="channels_first"),
        layers.MaxPooling2D(2, data_format="channels_first"),
        layers.Flatten(),
        layers.Dense(120, "relu"),
        layers.Dense(84, "relu"),
    ],
    "lstm": [layers.LSTM(64)],
}


class EndOfEpoch(keras.callbacks.Callback):
    """Ends an epoch with its validation accuracy."""

    def __init__(self, lap: Lap) -> None:
        super().__init__()
        self.lap = lap

    def on_epoch_end(self, _: int, logs: dict[str, float]) -> None:
        self.lap(float(logs["val_accuracy"]))


def train(job: Job, lap: Lap) -> None:
    keras.utils.set_random_seed(0)
    x, y, x_val, y_val = job.arrays
    shape = NETWORKS[job.network].shape
    model = keras.Sequential([keras.Input(shape), *LAYERS[job.network], layers.Dense(NUM_CLASSES)])
    model.compile(
        optimizer=keras.optimizers.Adam(LEARNING_RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        x,
        y,
        batch_size=job.batch_size or len(x),
        epochs=1_000_000,
        validation_data=(x_val, y_val),
        validation_batch_size=job.eval_batch_size,
        callbacks=[EndOfEpoch(lap)],
    )
