"""Columns of tables that are read again."""

from __future__ import annotations

from dataclasses import dataclass

from dtd.columns import LEDGER

INPUTS = (
    *("sample", "status", "output", "f", "class", "predicted", "label", "row", "index", "part"),
)
"""``inputs.csv`` starts with these; its other columns are the features."""
INPUT_TEXTS = ("class", "predicted", "label", "row", "index", "part")
"""Those of them that may be empty, and hold texts also where these look like numbers."""


@dataclass(frozen=True)
class Schema:
    """What readers need of a table. ``indices`` are numbers from 0 on, ``numbers`` are finite or
    missing; of the ``texts`` some tables lack those that are ``optional``."""

    texts: tuple[str, ...]
    indices: tuple[str, ...]
    numbers: tuple[str, ...]
    optional: tuple[str, ...] = ()

    @property
    def required(self) -> list[str]:
        """The columns that must be there."""
        texts = [name for name in self.texts if name not in self.optional]
        return [*texts, *self.indices, *self.numbers]


_FURTHER = ("roots", "limits")
SCHEMAS = {
    "inputs.csv": Schema(("status", "output", *INPUT_TEXTS), ("sample",), ("f",)),
    "relevance.csv": Schema(
        ("method", *_FURTHER), ("sample", "layer", "neuron"), ("relevance",), _FURTHER
    ),
    "layers.csv": Schema(("method", *_FURTHER), ("sample", "layer"), LEDGER, _FURTHER),
    "continuity.csv": Schema(("method", "roots"), (), ("score",), ("roots",)),
    "faithfulness.csv": Schema(("method", "baseline"), ("sample",), ("area",)),
}
"""The tables that reports read."""
