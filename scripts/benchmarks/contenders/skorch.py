"""skorch: a NeuralNetClassifier with a predefined validation set."""

import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from skorch.dataset import Dataset
from skorch.helper import predefined_split

from benchmarks.laps import Lap
from benchmarks.networks import build_network
from benchmarks.workloads import LEARNING_RATE, Job


class EndOfEpoch(Callback):
    """Ends an epoch. It is the last callback, so loss and accuracy are in the history."""

    def __init__(self, lap: Lap) -> None:
        self.lap = lap

    def on_epoch_end(self, net: NeuralNetClassifier, **_: object) -> None:
        self.lap(float(net.history[-1, "valid_acc"]))


def train(job: Job, lap: Lap) -> None:
    x, y, x_val, y_val = job.arrays
    net = NeuralNetClassifier(
        build_network(job.network),
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        optimizer__fused=True,
        lr=LEARNING_RATE,
        max_epochs=1_000_000,
        batch_size=job.batch_size or len(x),
        iterator_train__shuffle=True,
        iterator_valid__batch_size=job.eval_batch_size,
        train_split=predefined_split(Dataset(x_val, y_val)),
        callbacks=[("end_of_epoch", EndOfEpoch(lap))],
        device=job.device,
    )
    net.fit(x, y)
