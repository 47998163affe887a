"""Train (and resume), evaluate, load."""

from nnzoo.experiment.evaluate import EvalResult, evaluate_checkpoint
from nnzoo.experiment.finished import Run
from nnzoo.experiment.load import TrainedModel, load
from nnzoo.experiment.train import train

__all__ = ["EvalResult", "Run", "TrainedModel", "evaluate_checkpoint", "load", "train"]
