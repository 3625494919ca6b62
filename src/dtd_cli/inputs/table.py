"""``inputs=csv``: a table that the user brings."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from dtd.domains import Domain
from dtd_cli.config.errors import SettingError
from dtd_cli.config.values import FilePath, Finite, Text
from dtd_cli.inputs.source import Inputs, Source

Bound = Annotated[
    int | Finite | list[int | Finite] | None,
    Field(description="a finite number, or a list with one for each feature"),
]


@dataclass(frozen=True)
class Table(Inputs):
    """Rows of a CSV file with a header; every column but ``label`` is a feature.

    A box has ``low`` and ``high``, each one number, or one for each feature. A table with a row
    outside its domain is refused.
    """

    path: FilePath
    label: Text | None
    domain: Literal["real", "nonnegative", "box"]
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

    def open(self, input_size: int | None) -> Source:
        frame = self._read()
        labels = None
        if self.label is not None:
            if self.label not in frame.columns:
                raise SettingError(
                    "inputs.label",
                    self.label,
                    f"no such column; allowed are {', '.join(frame.columns)}",
                )
            labels = frame.pop(self.label).to_numpy()
        rows = torch.tensor(self._numbers(frame))
        if rows.shape[1] == 0:
            raise self._refused("it has no column of features")
        if input_size is not None and rows.shape[1] != input_size:
            raise self._refused(
                f"it has {rows.shape[1]} columns of features; the network takes {input_size} inputs"
            )
        domain = self._domain(rows.shape[1])
        outside = (~domain.to(rows.dtype).contains(rows)).nonzero()
        if len(outside):
            raise self._refused(
                f"data row {int(outside[0]) + 1} lies outside the domain; allowed is "
                f"inputs.domain={self.domain}, or another inputs.domain"
            )
        return Source(tuple(frame.columns), domain, rows, labels)

    def _read(self) -> pd.DataFrame:
        path = Path(self.path)
        if not path.is_file():
            raise SettingError("inputs.path", self.path, "no such file; allowed is a CSV file")
        try:
            # The byte order mark that spreadsheets write is not part of the first name.
            with path.open(newline="", encoding="utf-8-sig") as lines:
                rows = filter(None, csv.reader(lines))
                header = next(rows, [])
                too_long = next(
                    ((n, row) for n, row in enumerate(rows, 1) if any(row[len(header) :])), None
                )
            if too_long:
                # Pandas would drop what has no name.
                raise self._refused(
                    f"data row {too_long[0]} has {len(too_long[1])} values; allowed are "
                    f"{len(header)}, one for each name in the header row"
                )
            frame = pd.read_csv(path, encoding="utf-8-sig", index_col=False, low_memory=False)
        except _NOT_A_TABLE as error:
            raise self._refused(f"not a CSV file with a header row ({error})") from error
        doubled = [name for name, count in Counter(header).items() if count > 1]
        if doubled:
            raise self._refused(f"column {doubled[0]!r} is there twice; names must differ")
        if frame.empty:
            raise self._refused("it has a header but no rows; allowed is one row or more")
        return frame

    def _numbers(self, frame: pd.DataFrame) -> np.ndarray:
        numbers: np.ndarray = frame.apply(pd.to_numeric, errors="coerce").to_numpy(float)
        wrong = np.argwhere(~np.isfinite(numbers))
        if len(wrong):
            row, column = wrong[0]
            raise self._refused(
                f"data row {row + 1}, column {frame.columns[column]!r} is "
                f"{str(frame.iat[row, column])!r}; allowed are finite numbers "
                "(name a column that is no feature with inputs.label)"
            )
        return numbers

    def _domain(self, size: int) -> Domain:
        return _DOMAINS[self.domain](self, size)

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


_NOT_A_TABLE = (
    csv.Error,
    pd.errors.ParserError,
    pd.errors.EmptyDataError,
    UnicodeDecodeError,
)

_DOMAINS = {
    "real": lambda table, size: Domain.real(size),
    "nonnegative": lambda table, size: Domain.nonnegative(size),
    "box": Table._box,
}
