"""What a page is made of: tables, pictures and sections, as the template shows them."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_MOST_ROWS = 200
_LONG = 50
"""Letters of a text that needs room."""


@dataclass(frozen=True)
class Picture:
    """A picture as PNG, on white and on dark paper; what is seen on it, and how it is read."""

    light: str
    dark: str
    width: int
    height: int
    finding: str
    caption: str

    @classmethod
    def of(cls, light: bytes, dark: bytes, finding: str, caption: str) -> Picture:
        """From the content of the two PNG files, whose heads say how large they are."""
        width, height = (int.from_bytes(light[at : at + 4]) for at in (16, 20))
        return cls(_source(light), _source(dark), width, height, finding, caption)


@dataclass(frozen=True)
class Cell:
    """A text, which may lead somewhere, say more on hover, have a mark, and others behind it.

    ``mark`` says in a word what the best of a column is; it is empty for all else.
    """

    text: str
    title: str = ""
    href: str = ""
    mark: str = ""
    more: Sequence[Cell] = ()


Row = Sequence[str | Cell]


@dataclass(frozen=True)
class Table:
    """A table, with a name for those who do not see it."""

    name: str
    caption: str
    columns: Sequence[Cell]
    rows: Sequence[Sequence[Cell]]

    @classmethod
    def of(
        cls,
        name: str,
        caption: str,
        columns: Row,
        rows: Sequence[Row],
        most: int = _MOST_ROWS,
        all_in: str = "runs.csv",
    ) -> Table:
        """The first rows; the caption says how many there are, and where ``all_in`` they are."""
        if len(rows) > most:
            caption += f" The first {most} of {len(rows)} rows; all are in {all_in}."
        return cls(name, caption.strip(), _cells(columns), [*map(_cells, rows[:most])])

    @property
    def kinds(self) -> list[str]:
        """What each column holds, for the style sheet: ``number``, ``long`` texts, or neither."""
        columns = [[one.text for one in column] for column in zip(*self.rows, strict=True)]
        return [*map(_kind, columns)] or [""] * len(self.columns)


@dataclass(frozen=True)
class Section:
    """A part of the page that folds: some of a text, a table, a picture and links."""

    title: str
    text: str = ""
    table: Table | None = None
    picture: Picture | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    unfolded: bool = True

    @property
    def id(self) -> str:
        """What links to the section name."""
        return re.sub(r"\W+", "-", self.title.lower())


def _cells(row: Row) -> list[Cell]:
    return [Cell(one) if isinstance(one, str) else one for one in row]


def _kind(texts: Sequence[str]) -> str:
    if all(re.match(r"[\d−]|$", text) for text in texts):
        return "number"
    return "long" if max(map(len, texts)) > _LONG else ""


def _source(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
