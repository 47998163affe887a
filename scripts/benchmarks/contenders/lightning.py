"""Lightning: a LightningModule and its Trainer."""

import lightning
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.laps import Lap
from benchmarks.networks import build_network, loaders
from benchmarks.workloads import LEARNING_RATE, Job


class Classifier(lightning.LightningModule):
    """A classifier with any network."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        loss = cross_entropy(self.model(x), y)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
        x, y = batch
        outputs = self.model(x)
        accuracy = (outputs.argmax(1) == y).float().mean()
        self.log_dict({"val_loss": cross_entropy(outputs, y), "val_accuracy": accuracy})

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=LEARNING_RATE, fused=True)


class EndOfEpoch(lightning.Callback):
    """Ends an epoch after its validation."""

    def __init__(self, lap: Lap) -> None:
        self.lap = lap

    def on_train_epoch_end(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        self.lap(float(trainer.callback_metrics["val_accuracy"]))


def train(job: Job, lap: Lap) -> None:
    trainer = lightning.Trainer(
        accelerator="gpu" if job.device == "cuda" else "cpu",
        devices=1,
        max_epochs=-1,
        callbacks=[EndOfEpoch(lap)],
        default_root_dir=job.data.parent,
    )
    trainer.fit(Classifier(build_network(job.network)), *loaders(job))
