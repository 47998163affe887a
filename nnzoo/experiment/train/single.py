"""Trains the network of a run. `restarts` trains several."""

from __future__ import annotations

from typing import Any

import torch

from nnzoo.experiment.prepare import Experiment
from nnzoo.experiment.resume.untrusted import check_saved
from nnzoo.experiment.train.record import Recorder
from nnzoo.training.learner import Status
from nnzoo.training.loop import fit, is_over
from nnzoo.training.progress import Progress
from nnzoo.training.restarts.outcome import Restarts
from nnzoo.training.signals import StopRequest
from nnzoo.training.single import SingleLearner
from nnzoo.training.state import TrainState


class Training:
    """The training of one network.

    Args:
        experiment: The data, the settings and everything else that was prepared.
        state: The network, its optimizer and its schedule at the start.
    """

    def __init__(self, experiment: Experiment, state: TrainState) -> None:
        self.experiment = experiment
        self.state = state

    def restarts(self) -> Restarts | None:
        """Returns the results of the restarts so far; None if there are no restarts."""
        return None

    def kept(self) -> TrainState:
        """Returns the training whose best weights are those of the run: of restarts, the best so far."""
        return self.state

    def place(self) -> str:
        """Returns the epoch in progress, for messages."""
        return f"epoch {self.state.epoch + 1}"

    def done(self) -> str:
        """Returns how many epochs and steps are done, for messages."""
        return f"epoch {self.state.epoch}, step {self.state.step}"

    def is_over(self) -> bool:
        """Whether there is nothing left to train."""
        return is_over(SingleLearner(self.state), self.experiment.settings)

    def check(self, saved: dict[str, Any]) -> None:
        """Raises ValueError if the content of last.safetensors does not belong to this training."""
        check_saved(saved, self.state.state_dict(), shapes_of(self.state.optimizer))

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restores the content of last.safetensors."""
        self.state.load_state_dict(saved)

    def shares(self, saved: dict[str, Any]) -> Any:
        """Returns what last.safetensors holds for processes other than the first."""
        return saved.get("ranks", [])

    def fit(self, recorder: Recorder, progress: Progress, stop: StopRequest) -> Status:
        """Trains to the end, or until a signal comes.

        Raises:
            DivergedError: The loss is not finite; of restarts, the loss of every one.
        """
        experiment = self.experiment
        group = experiment.settings.group
        with group.training(self.state.model, self.state.forward or self.state.model):
            return fit(
                SingleLearner(self.state),
                experiment.splits,
                experiment.settings,
                save=lambda state: recorder.save(state, group.gather_state(state.state_dict())),
                progress=progress,
                stop=stop,
            )


def shapes_of(optimizer: torch.optim.Optimizer) -> list[torch.Size]:
    """Returns the shapes of an optimizer's parameters, in its order."""
    return [each.shape for group in optimizer.param_groups for each in group["params"]]
