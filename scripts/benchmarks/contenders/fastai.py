"""fastai: DataLoaders and a Learner."""

from functools import partial

import fastai.callback.progress  # noqa: F401  # adds the default progress bar, as `from fastai.* import *` does
import torch
from fastai.basics import Callback, DataLoader, DataLoaders, Learner, OptimWrapper, accuracy
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset

from benchmarks.laps import Lap
from benchmarks.networks import build_network, tensors
from benchmarks.workloads import LEARNING_RATE, Job


class EndOfEpoch(Callback):
    """Ends an epoch after the Recorder, whose order is 50, has recorded loss and accuracy."""

    order = 60

    def __init__(self, lap: Lap) -> None:
        self.lap = lap

    def after_epoch(self) -> None:
        self.lap(float(self.recorder.values[-1][-1]))


def train(job: Job, lap: Lap) -> None:
    x, y, x_val, y_val = tensors(job)
    train_loader = DataLoader(TensorDataset(x, y), bs=job.batch_size or len(x), shuffle=True, num_workers=0)
    val_loader = DataLoader(TensorDataset(x_val, y_val), bs=job.eval_batch_size, num_workers=0)
    learner = Learner(
        DataLoaders(train_loader, val_loader, device=torch.device(job.device)),
        build_network(job.network),
        loss_func=cross_entropy,
        opt_func=partial(OptimWrapper, opt=torch.optim.Adam, fused=True),
        metrics=accuracy,
        cbs=[EndOfEpoch(lap)],
    )
    learner.fit(1_000_000, lr=LEARNING_RATE)
