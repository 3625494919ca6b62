"""Trainings that the configuration names: what is done to a network before it is explained."""

from dtd_cli.training.adam import Adam
from dtd_cli.training.none import NoTraining
from dtd_cli.training.training import Trained, Training

TRAININGS: dict[str, type[Training]] = {"none": NoTraining, "adam": Adam}
"""The name of a training in the configuration, and its settings."""

__all__ = ["TRAININGS", "Trained", "Training"]
