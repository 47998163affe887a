"""Examines a config before training and a run after training; each finding names a fix."""

from nnzoo.doctor.examine import Examination, examine, examine_config, examine_run
from nnzoo.doctor.finding import Finding

__all__ = ["Examination", "Finding", "examine", "examine_config", "examine_run"]
