"""What pictures say of an explained sample."""

from __future__ import annotations

from typing import NamedTuple

from dtd_cli.plots import wording


class Sample(NamedTuple):
    """One explained sample: its number, the output that is explained, and its value.

    ``name`` is the class that the output stands for, ``label`` that of the data, and ``row`` the
    place in the data set. ``predicted`` is the class that the network names. Texts are
    empty where nothing is known.
    """

    number: int
    output: str
    f: float
    name: str = ""
    label: str = ""
    row: str = ""
    predicted: str = ""

    @property
    def names(self) -> list[str]:
        """What pictures call the sample."""
        return [f"sample {self.number}", *([f"row {self.row}"] if self.row else [])]

    @property
    def outcome(self) -> list[str]:
        """What pictures say of the output, and of the label if it is another."""
        named = f"class {wording.literal(self.name)}" if self.name else f"output {self.output}"
        told = self.label and self.name and self.label != self.name
        return [named, *([f"label {wording.literal(self.label)}"] if told else [])]

    @property
    def classes(self) -> list[str]:
        """What pictures say of the label and of the prediction, where there are such."""
        told = {"label": self.label, "predicted": self.predicted}
        return [f"{what} {wording.literal(name)}" for what, name in told.items() if name]

    @property
    def title(self) -> str:
        """All of this in one line."""
        return ", ".join([*self.names, *self.outcome])
