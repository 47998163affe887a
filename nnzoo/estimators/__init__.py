"""Estimators with the conventions of scikit-learn, which train a network of nnzoo."""

from nnzoo.estimators.classifier import NNClassifier
from nnzoo.estimators.regressor import NNRegressor

__all__ = ["NNClassifier", "NNRegressor"]
