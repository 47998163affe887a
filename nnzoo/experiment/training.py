"""How a run trains, of one network; several begin in `restarts`."""

from __future__ import annotations

from typing import Any

import torch

from nnzoo.experiment.prepare import Experiment
from nnzoo.experiment.record import Recorder
from nnzoo.experiment.untrusted import check_saved
from nnzoo.training.learner import Status
from nnzoo.training.loop import fit, out_of_time
from nnzoo.training.progress import Progress
from nnzoo.training.restarts import Restarts
from nnzoo.training.signals import StopRequest
from nnzoo.training.single import SingleLearner
from nnzoo.training.state import TrainState


class Training:
    """One network.

    Args:
        experiment: What is run.
        state: At the start.
    """

    def __init__(self, experiment: Experiment, state: TrainState) -> None:
        self.experiment = experiment
        self.state = state

    def restarts(self) -> Restarts | None:
        """What the restarts came to so far; None where there are none."""
        return None

    def kept(self) -> TrainState:
        """The training whose best weights are the run's: of restarts, the best so far."""
        return self.state

    def place(self) -> str:
        """Where it stands."""
        return f"epoch {self.state.epoch + 1}"

    def done(self) -> str:
        """How far it has come."""
        return f"epoch {self.state.epoch}, step {self.state.step}"

    def is_over(self) -> bool:
        """Whether there is nothing left to train."""
        state, settings = self.state, self.experiment.settings
        return state.epoch >= settings.epochs or state.early_stopping.should_stop() or out_of_time(state, settings)

    def check(self, saved: dict[str, Any]) -> None:
        """Raises ValueError if what last.safetensors held is not of this training."""
        check_saved(saved, self.state.state_dict(), shapes_of(self.state.optimizer))

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Goes on from what last.safetensors held."""
        self.state.load_state_dict(saved)

    def shares(self, saved: dict[str, Any]) -> Any:
        """What last.safetensors held of other processes than the first."""
        return saved.get("ranks", [])

    def fit(self, recorder: Recorder, progress: Progress, stop: StopRequest) -> Status:
        """Trains to the end, or until a signal comes.

        Raises:
            DivergedError: The loss is not finite; of restarts, that of every one.
        """
        experiment = self.experiment
        group = experiment.settings.group
        with group.training(self.state.model):
            return fit(
                SingleLearner(self.state),
                experiment.splits,
                experiment.settings,
                save=lambda state: recorder.save(state, group.whole(state.state_dict())),
                progress=progress,
                stop=stop,
            )


def shapes_of(optimizer: torch.optim.Optimizer) -> list[torch.Size]:
    """Of its parameters, in its order."""
    return [each.shape for group in optimizer.param_groups for each in group["params"]]
