"""What inputs are: features with a domain, perhaps rows of a data set, and samples to explain."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from dtd.domains import Domain
from dtd.numerics.scale import size_of
from dtd_cli.config.errors import SettingError
from dtd_cli.config.values import Size, different

Image = tuple[int, int, int]
"""Channels, height and width."""

Draw = Callable[[Callable[[Tensor], Tensor], torch.Generator], Tensor]
"""Inputs (n, d) for the explained output f: (N, d) -> (N,), drawn with a generator."""


@dataclasses.dataclass(frozen=True, eq=False)
class Scaling:
    """Standardisation: features (N, d) minus their mean (d,), divided by their deviation (d,)."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> Scaling:
        """What gives each feature the mean 0 and the deviation 1 in these rows.

        A feature that is constant there is only shifted.
        """
        size = size_of(rows.T).squeeze(1)
        unit = rows / size
        deviation = size * unit.std(0, correction=0)
        return cls(size * unit.mean(0), torch.where(deviation > 0, deviation, 1))

    def __call__(self, features: Tensor) -> Tensor:
        return (features - self.mean) / self.deviation


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """The inputs of one run.

    ``names`` are those of the d features, and ``domain`` is where inputs may lie. A data set has
    ``rows`` (N, d), ``labels`` (N,) if it is labelled, and ``index`` (N,) if a column names its
    rows. Others have ``draw`` and no rows. Of images, ``image`` is channels, height and width;
    features are their pixels in this order. Where inputs were standardised, ``scaling`` did it.
    ``notes`` are for the log.
    """

    names: tuple[str, ...]
    domain: Domain
    rows: Tensor | None = None
    labels: np.ndarray | None = None
    image: Image | None = None
    index: np.ndarray | None = None
    scaling: Scaling | None = None
    notes: tuple[str, ...] = ()
    draw: Draw | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one input: (channels, height, width) of an image, else (d,)."""
        return self.image or (len(self.names),)

    def scaled(self, scaling: Scaling) -> Source:
        """The same inputs in the units of a standardisation, also their domain."""
        assert self.rows is not None, "what is drawn is not standardised"
        domain = Domain(scaling(self.domain.low), scaling(self.domain.high))
        return dataclasses.replace(self, rows=scaling(self.rows), domain=domain, scaling=scaling)

    def check_range(self, dtype: torch.dtype, remedy: str, times: float = 1.0) -> None:
        """Refuse rows with a number of which a dtype cannot hold so many ``times``.

        Raises:
            SettingError: with the row and the column, and the remedy.
        """
        if self.rows is None:
            return
        outside = (self.rows.abs() > torch.finfo(dtype).max / times).nonzero()
        if len(outside):
            row, column = outside[0].tolist()
            does = "leaves" if times == 1 else "comes near the end of"
            raise SettingError(
                "inputs",
                "",
                f"{place(row, self.names[column])} is {self.rows[row, column].item():g}, which "
                f"{does} the range of {str(dtype)[6:]}; {remedy}",
            )


def place(row: int, column: str) -> str:
    """What messages call a cell of a table. Rows count from 0, as in ``inputs.rows``."""
    return f"row {row} (the first is 0), column {column!r}"


def pixel_names(image: Image) -> tuple[str, ...]:
    """The names by which tables and pictures know pixels, in the order of the features.

    Of a grey image ``pixel_<row>_<column>``, of others ``pixel_<channel>_<row>_<column>``.
    """
    places = np.ndindex(image if image[0] > 1 else image[1:])
    return tuple("_".join(("pixel", *map(str, at))) for at in places)


@dataclass(frozen=True)
class Inputs(ABC):
    """Settings of the inputs. At most ``n`` samples are explained."""

    n: Size | None

    @property
    def chosen_rows(self) -> list[int] | None:
        """The rows that are explained, if the settings name them."""
        return None

    @abstractmethod
    def open(self, input_size: int | None) -> Source:
        """The inputs for a network of ``input_size`` inputs; None if its size follows the data.

        Raises:
            SettingError: the settings name no such inputs.
        """

    def fitted(self, source: Source, train: np.ndarray) -> Source:
        """What :meth:`open` gave, with all that is learned from the rows ``train``."""
        return source


@dataclass(frozen=True)
class DataSet(Inputs):
    """Rows of a data set: the ``rows`` that are named, in their order, or ``n`` of them."""

    rows: Annotated[
        Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1), different] | None,
        Field(description="a list of different rows, such as [3,17], counted from 0, or null"),
    ]

    @property
    def chosen_rows(self) -> list[int] | None:
        return self.rows
