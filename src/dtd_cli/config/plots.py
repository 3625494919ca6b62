"""How pictures are drawn, of what, and by which runs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from dtd_cli.config.errors import SettingError
from dtd_cli.config.values import Text, different

_COLUMN, _GAP = 3.3, 0.25
"""Inches: a column of a paper, and what lies between two."""

_Numbers = Annotated[
    list[Annotated[int, Field(ge=0)]],
    Field(min_length=1, description="a list of numbers, each once"),
    different,
]
_Names = Annotated[
    list[Text], Field(min_length=1, description="a list of methods, each once"), different
]


@dataclass(frozen=True)
class Plots:
    """``plots``: the look of pictures, and what they show; ``None`` is all that has room."""

    format: Literal["png", "pdf", "svg"] = "png"
    dpi: Annotated[int, Field(ge=50, le=1200)] = 150
    width: Annotated[float, Field(ge=1, le=4)] | None = None
    font: Literal["sans", "serif"] = "sans"
    heading: bool = True
    scale: Literal["own", "shared"] = "own"
    samples: _Numbers | None = None
    methods: _Names | None = None
    layers: _Numbers | None = None

    @property
    def inches(self) -> float | None:
        """The width that all pictures have, if they have one."""
        return None if self.width is None else self.width * (_COLUMN + _GAP) - _GAP

    @property
    def narrow(self) -> bool:
        """Whether there is no room for panels side by side."""
        return self.inches is not None and self.inches < 2 * _COLUMN

    def draws(self, alone: bool) -> bool:
        """Whether a run draws; ``alone`` is false in a sweep."""
        return alone

    def check(
        self, samples: Collection[int], methods: Collection[str], layers: Collection[int]
    ) -> None:
        """Refuse a choice of what a run does not have.

        Args:
            samples: the samples that are explained.
            methods: the methods that explain them.
            layers: the layers whose activations are images.

        Raises:
            SettingError: with what it has.
        """
        known = {"samples": samples, "methods": methods, "layers": layers}
        for name, there in known.items():
            chosen = getattr(self, name)
            if chosen and set(chosen) - set(there):
                some = ", ".join(map(str, [*there][:20])) or "none: it has none"
                raise SettingError(f"plots.{name}", chosen, f"allowed are those of the run: {some}")


@dataclass(frozen=True)
class _All(Plots):
    def draws(self, alone: bool) -> bool:
        """Every run draws."""
        return True


@dataclass(frozen=True)
class _Never(Plots):
    def draws(self, alone: bool) -> bool:
        """No run draws."""
        return False


PLOTS: dict[str, type[Plots]] = {"auto": Plots, "all": _All, "none": _Never}
"""The options of the group ``plots``: when pictures are drawn."""
