"""PyTorch-Ignite: a trainer, and an evaluator that runs after every epoch."""

import torch
from ignite.engine import Engine, Events, create_supervised_evaluator, create_supervised_trainer
from ignite.metrics import Accuracy, Loss
from torch.nn.functional import cross_entropy

from benchmarks.laps import Lap
from benchmarks.networks import build_network, loaders
from benchmarks.workloads import LEARNING_RATE, Job


def train(job: Job, lap: Lap) -> None:
    train_loader, val_loader = loaders(job)
    model = build_network(job.network).to(job.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)
    trainer = create_supervised_trainer(model, optimizer, cross_entropy, device=job.device, non_blocking=True)
    metrics = {"accuracy": Accuracy(), "loss": Loss(cross_entropy)}
    evaluator = create_supervised_evaluator(model, metrics=metrics, device=job.device, non_blocking=True)

    def validate(_: Engine) -> None:
        lap(float(evaluator.run(val_loader).metrics["accuracy"]))

    trainer.add_event_handler(Events.EPOCH_COMPLETED, validate)
    trainer.run(train_loader, max_epochs=1_000_000)
