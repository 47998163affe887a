"""The four networks and their data in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.workloads import NUM_CLASSES, Job


class LastState(nn.Module):
    """An LSTM that classifies the last state: (N, T, F) -> (N, classes)."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(28, 64, batch_first=True)
        self.output = nn.Linear(64, NUM_CLASSES)

    def forward(self, steps: Tensor) -> Tensor:
        states, _ = self.lstm(steps)
        outputs: Tensor = self.output(states[:, -1])
        return outputs


def build_network(name: str) -> nn.Module:
    """Returns an untrained network of `NETWORKS`, initialized with seed 0."""
    torch.manual_seed(0)
    match name:
        case "small":
            return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, NUM_CLASSES))
        case "mlp":
            hidden = [nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU()]
            return nn.Sequential(*hidden, nn.Linear(128, NUM_CLASSES))
        case "lenet":
            convolutions = [nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
            convolutions += [nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
            head = [nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, NUM_CLASSES)]
            return nn.Sequential(*convolutions, *head)
    return LastState()


def tensors(job: Job) -> tuple[Tensor, ...]:
    """Returns x, y, x_val and y_val on the CPU, in memory that torch allocated."""
    return tuple(torch.from_numpy(array).clone() for array in job.arrays)


def loaders(job: Job) -> tuple[DataLoader[tuple[Tensor, ...]], DataLoader[tuple[Tensor, ...]]]:
    """Returns the usual loaders of training and validation, without workers: the data is in memory already."""
    x, y, x_val, y_val = tensors(job)
    pinned = job.device == "cuda"
    train = DataLoader(TensorDataset(x, y), batch_size=job.batch_size or len(x), shuffle=True, pin_memory=pinned)
    val = DataLoader(TensorDataset(x_val, y_val), batch_size=job.eval_batch_size, pin_memory=pinned)
    return train, val
