"""Numbers as Markdown tables, and where in a document they stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

_MARKS = "<!-- table {name} -->", "<!-- end {name} -->"


def grid(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def share(value: Any) -> str:
    """A share in per cent."""
    return "" if pd.isna(value) else f"{100 * value:z.1f} %"


def number(value: Any, digits: int = 4) -> str:
    """A number with so many digits, in full where it is not too long."""
    return "" if pd.isna(value) else f"{value:.{digits}g}"


def spread(values: pd.Series, show: Callable[[Any], str] = share) -> str:
    """Median, and the smallest and largest value: of networks, for one."""
    values = values.dropna()
    if values.empty:
        return ""
    return f"{show(values.median())} ({show(values.min())} to {show(values.max())})"


def filled(document: str, tables: Mapping[str, str]) -> str:
    """The document with each table between its markers.

    Raises:
        ValueError: a table has no place in the document.
    """
    for name, table in tables.items():
        start, end = (mark.format(name=name) for mark in _MARKS)
        before, opened, rest = document.partition(start)
        _, closed, after = rest.partition(end)
        if not opened or not closed or start in after:
            raise ValueError(f"table {name} needs one place in the document: {start} and {end}")
        document = f"{before}{start}\n{table}\n{end}{after}"
    return document


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|")
