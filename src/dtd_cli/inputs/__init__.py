"""Inputs that the configuration names: data sets and random samples, with their domains."""

from dtd_cli.inputs.digits import Digits
from dtd_cli.inputs.grid import Grid
from dtd_cli.inputs.mnist import Mnist
from dtd_cli.inputs.notebook import NotebookInputs
from dtd_cli.inputs.positive import Positive
from dtd_cli.inputs.source import Inputs, Source
from dtd_cli.inputs.table import Table

INPUTS: dict[str, type[Inputs]] = {
    "digits": Digits,
    "mnist": Mnist,
    "notebook": NotebookInputs,
    "positive": Positive,
    "grid": Grid,
    "csv": Table,
}
"""The name of inputs in the configuration, and their settings."""

__all__ = ["INPUTS", "Inputs", "Source"]
