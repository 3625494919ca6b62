"""Whose the roots in a table are: those of a unit, or those of f itself."""

from __future__ import annotations

import pandas as pd

OF_F = -1
"""Stands for f itself where pictures number the units whose roots they show."""
_OF_F_METHOD = "simple_taylor"
"""The method whose roots are those of f itself."""


def told_apart(table: pd.DataFrame) -> pd.DataFrame:
    """A table of roots in which those of f itself have the number :data:`OF_F`."""
    return table.assign(neuron=table["neuron"].mask(of_f(table), OF_F))


def of_f(table: pd.DataFrame) -> pd.Series:
    """Which rows of a table are about roots of f itself."""
    return table["method"] == _OF_F_METHOD


def searches_named(table: pd.DataFrame) -> pd.DataFrame:
    """A table of roots in which searches for roots of f itself have a name of their own."""
    finder = table["finder"].astype(str)
    return table.assign(finder=finder.mask(of_f(table), finder + " for f"))


def unit_name(unit: int) -> str:
    """What a picture calls the owner of a root."""
    return "f" if unit == OF_F else f"unit {unit}"


def owners(units: list[int], layer: int) -> str:
    """What a picture calls the owners of its roots, together."""
    names = ["f"] * (OF_F in units) + [f"each unit of layer {layer}"] * any(u >= 0 for u in units)
    return " and ".join(names)
