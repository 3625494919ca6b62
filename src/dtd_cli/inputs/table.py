"""``inputs=csv``: a table that the user brings."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Callable
from math import prod
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from dtd.domains import Domain
from dtd_cli.config.errors import SettingError
from dtd_cli.config.values import Count, FilePath, Finite, OneOf, Text, different
from dtd_cli.inputs.cells import numbers
from dtd_cli.inputs.content import Content
from dtd_cli.inputs.delimited import DECIMALS, SEPARATORS, Dialect
from dtd_cli.inputs.files import read
from dtd_cli.inputs.source import DataSet, Image, Scaling, Source, pixel_names

Bound = Annotated[
    int | Finite | list[int | Finite] | None,
    Field(description="a finite number, or a list with one for each feature"),
]
Names = Annotated[list[Text], different]


@dataclass(frozen=True)
class Table(DataSet):
    """Rows of a file with a table; every column is a feature that is not said to be another thing.

    A box has ``low`` and ``high``, each one number, or one for each feature; the domain ``data``
    is the smallest box that holds all rows. A table with a row outside its domain is refused.
    With ``standardize`` the features that the network sees have mean 0 and deviation 1 in the rows
    that are trained on.
    """

    path: FilePath
    label: Text | None
    index: Text | None
    drop: Names
    onehot: Names
    encoding: str | None
    separator: Annotated[str, OneOf(tuple(SEPARATORS))] | None
    decimal: Annotated[str, OneOf(tuple(DECIMALS))] | None
    header: bool | None
    image: Annotated[
        Annotated[list[Count], Field(min_length=2, max_length=3)] | None,
        Field(description="[height,width] or [channels,height,width], or null"),
    ]
    standardize: bool
    domain: Literal["real", "nonnegative", "box", "data"]
    low: Bound
    high: Bound

    def __post_init__(self) -> None:
        for name, bound in (("low", self.low), ("high", self.high)):
            if self.domain == "box" and bound is None:
                raise SettingError(
                    f"inputs.{name}",
                    bound,
                    "inputs.domain=box needs it; allowed is a number, or one for each feature",
                )
            if self.domain != "box" and bound is not None:
                raise SettingError(f"inputs.{name}", bound, "allowed with inputs.domain=box alone")
        try:
            codecs.lookup(self.encoding or "utf-8")
        except LookupError as error:
            raise SettingError(
                "inputs.encoding", self.encoding, "allowed is a name such as utf-8 or latin-1"
            ) from error
        if self.image and len(self.image) == 3 and self.image[2] <= 4 < self.image[0]:
            raise SettingError(
                "inputs.image",
                self.image,
                "the channels come first; allowed is [channels,height,width], and columns in this "
                "order",
            )

    def open(self, input_size: int | None) -> Source:
        content = read(self.path, self._dialect)
        frame = content.frame
        if frame.empty:
            raise self._refused("it has a header but no rows; allowed is one row or more")
        doubled = [name for name, count in Counter(frame.columns).items() if name and count > 1]
        if doubled:
            raise self._refused(f"column {doubled[0]!r} is there twice; names must differ")
        index = labels = None
        others = {self._place(frame, "drop", column) for column in self.drop}
        if self.index is not None:
            place = self._place(frame, "index", self.index)
            index = frame.iloc[:, place].astype(str).to_numpy()
            others.add(place)
        kept = [number for number in range(frame.shape[1]) if number not in others]
        unnamed = [number for number in kept if _is_nameless(frame.columns[number])]
        if unnamed:
            number, name = str(unnamed[0]), frame.columns[unnamed[0]]
            # Its number, unless another column has that for its name.
            called = repr(name) if number in frame.columns else number
            raise self._refused(
                f"column {number} (the first is 0) has no name of its own; give it one, leave it "
                f"out (inputs.drop=[{called}]), or say with inputs.index={called} that it numbers "
                "the rows"
            )
        frame = frame.iloc[:, kept]
        if self.label is not None:
            labels = _labels(frame.iloc[:, self._place(frame, "label", self.label)])
            frame = frame.drop(columns=self.label)
        frame = self._encoded(frame)
        rows = torch.tensor(numbers(self.path, frame))
        if rows.shape[1] == 0:
            raise self._refused("it has no column of features")
        if input_size is not None and rows.shape[1] != input_size:
            raise self._refused(
                f"it has {rows.shape[1]} columns of features; the network takes {input_size} inputs"
            )
        image = self._image(content, rows.shape[1])
        domain = self._domain(rows)
        outside = domain.to(rows.dtype).beyond(rows).nonzero()
        if len(outside):
            row, column = outside[0].tolist()
            raise self._refused(
                f"row {row} (the first is 0) lies outside the domain, column "
                f"{frame.columns[column]!r} is {rows[row, column].item()!r}, and the domain there "
                f"is {domain.span(column)}; allowed are "
                "inputs.domain=data, inputs.domain=real, or bounds that hold all rows"
            )
        return Source(
            tuple(frame.columns) if image is None else pixel_names(image),
            domain,
            rows,
            labels,
            image,
            index,
            notes=content.notes,
        )

    @property
    def _dialect(self) -> Dialect:
        return Dialect(
            self.encoding,
            self.separator and SEPARATORS[self.separator],
            self.decimal and DECIMALS[self.decimal],
            self.header,
        )

    def fitted(self, source: Source, train: np.ndarray) -> Source:
        assert source.rows is not None, "a table has rows"
        return source.scaled(Scaling.of(source.rows[train])) if self.standardize else source

    def _place(self, frame: pd.DataFrame, setting: str, column: str) -> int:
        """The place of a column in the table; one without a name has its number."""
        names = list(frame.columns)
        if column in names:
            return names.index(column)
        number = int(column) if column.isdecimal() else len(names)
        if number < len(names) and _is_nameless(names[number]):
            return number
        reason = f"no such column; allowed are {', '.join(filter(None, names))}"
        if len(names) == 1:
            reason = (
                f"no such column; {self.path} has one alone, {names[0]!r}; if these are several, "
                f"inputs.separator={'|'.join(SEPARATORS)} says what stands between columns"
            )
        raise SettingError(f"inputs.{setting}", column, reason)

    def _encoded(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Each column of ``onehot`` as a column of 0 and 1 for each of its values, in its place."""
        for column in self.onehot:
            values = frame.iloc[:, self._place(frame, "onehot", column)]
            missing = np.flatnonzero(values.isna() | (values.astype(str) == ""))
            if len(missing):
                raise self._refused(
                    f"row {missing[0]} (the first is 0), column {column!r} is empty; allowed is a "
                    "value in every row of a column of inputs.onehot"
                )
        # Pandas puts new columns last.
        encoded = {
            column: pd.get_dummies(frame[column], prefix=column, prefix_sep="=")
            if column in self.onehot
            else frame[[column]]
            for column in frame.columns
        }
        return pd.concat(encoded.values(), axis=1) if encoded else frame

    def _image(self, content: Content, size: int) -> Image | None:
        if self.image is None:
            return content.image if content.image and prod(content.image) == size else None
        channels, height, width = (1, *self.image)[-3:]
        if channels * height * width != size:
            raise SettingError(
                "inputs.image",
                self.image,
                f"these are {channels * height * width} pixels, and the table has {size} columns "
                "of features; allowed is an image with a pixel for each of them",
            )
        return channels, height, width

    def _domain(self, rows: Tensor) -> Domain:
        if self.domain == "box":
            return self._box(rows.shape[1])
        return _DOMAINS[self.domain](rows)

    def _box(self, size: int) -> Domain:
        low, high = self._bound("low", self.low, size), self._bound("high", self.high, size)
        if not (low <= high).all():
            raise SettingError("inputs.low", self.low, f"allowed is low <= high={self.high}")
        return Domain(low, high)

    def _bound(self, name: str, bound: Bound, size: int) -> Tensor:
        values = bound if isinstance(bound, list) else [bound] * size
        if len(values) != size:
            raise SettingError(
                f"inputs.{name}", bound, f"allowed is one finite number, or {size} (a feature each)"
            )
        return torch.tensor(values, dtype=torch.float64)

    def _refused(self, reason: str) -> SettingError:
        return SettingError("inputs.path", self.path, reason)


def _is_nameless(name: str) -> bool:
    """Whether nobody named the column: pandas writes such columns as ``Unnamed: 0``."""
    return not name or re.fullmatch(r"Unnamed: \d+(\.\d+)?", name) is not None


_MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL")
"""What stands for a label that is missing. A class may be called None."""


def _labels(column: pd.Series) -> np.ndarray:
    """The labels, missing ones as None or NaN; numbers where all others are numbers."""
    missing = column.isna() | column.astype(str).isin(_MISSING)
    present = column.astype(object).where(~missing, None)
    as_numbers = pd.to_numeric(present, errors="coerce")
    are_numbers = (as_numbers.isna() == missing).all()
    labels: np.ndarray = (as_numbers if are_numbers else present).to_numpy(copy=True)
    return labels


_DOMAINS: dict[str, Callable[[Tensor], Domain]] = {
    "real": lambda rows: Domain.real(rows.shape[1]),
    "nonnegative": lambda rows: Domain.nonnegative(rows.shape[1]),
    "data": lambda rows: Domain(rows.amin(0), rows.amax(0)),
}
