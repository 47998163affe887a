"""A hand-written loop over a DataLoader, as in the PyTorch tutorials, with fused Adam."""

import torch
from torch.nn.functional import cross_entropy

from benchmarks.laps import Lap
from benchmarks.networks import build_network, loaders
from benchmarks.workloads import LEARNING_RATE, Job


def train(job: Job, lap: Lap) -> None:
    train_loader, val_loader = loaders(job)
    model = build_network(job.network).to(job.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)

    while True:
        model.train()
        for x, y in train_loader:
            x, y = x.to(job.device, non_blocking=True), y.to(job.device, non_blocking=True)
            optimizer.zero_grad()
            cross_entropy(model(x), y).backward()
            optimizer.step()

        model.eval()
        correct, loss_sum, samples = 0.0, 0.0, 0
        with torch.no_grad():
            for x, y in val_loader:
                x, y = x.to(job.device, non_blocking=True), y.to(job.device, non_blocking=True)
                outputs = model(x)
                loss_sum += cross_entropy(outputs, y, reduction="sum").item()
                correct += (outputs.argmax(1) == y).sum().item()
                samples += len(x)
        lap(correct / samples)
