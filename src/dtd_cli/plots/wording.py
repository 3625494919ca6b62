"""Labels, names and numbers as pictures write them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dtd_cli.plots.fonts import letters

LONGEST_NAME = 18
_WORDS = {
    "train_free": "train-free",
    "gradient_x_input": "gradient × input",
    "simple_taylor": "simple Taylor",
    "milp": "nearest (MILP)",
}


def words(label: str) -> str:
    """A label of the tables as one reads it aloud: ``not_found`` is "not found"."""
    return _WORDS.get(label, "".join(letters(label.replace("_", " "))))


def literal(text: str, longest: int = LONGEST_NAME) -> str:
    """A user's text, long ones without their middle, and never read as mathematics."""
    parts = letters(text)
    short = text if "".join(parts) == text else " ".join("".join(parts).split())
    if len(short) > longest:
        head, tail = _begin(parts, longest // 2), _begin(parts[::-1], longest - longest // 2 - 1)
        ends = ("".join(parts[:head]), "".join(parts[len(parts) - tail :]))
        short = "…".join(end.strip() if parts != list(text) else end for end in ends)
    return short.replace("$", r"\$")


def _begin(parts: Sequence[str], room: int) -> int:
    """How many of the first parts have room; at least one."""
    return max(1, int((np.cumsum([len(part.strip() or " ") for part in parts]) <= room).sum()))


def counted(count: int, thing: str) -> str:
    """So many things: "1 sample", "2 samples"."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def number(value: float) -> str:
    """A number of three digits, those below a million without an exponent, with a true minus."""
    return f"{float(f'{value + 0.0:.3g}'):g}".replace("-", "−")
