"""Which letters can be drawn, and what stands for those that cannot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from matplotlib import rc_context, rcParams
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

_OWN = {"sans": ("DejaVu Sans",), "serif": ("STIXGeneral", "DejaVu Serif", "DejaVu Sans")}
"""Fonts that come with Matplotlib; STIX looks as Times does, which papers are set in."""
_WIDER = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Micro Hei"),
    *("Droid Sans Fallback", "Noto Sans", "Arial Unicode MS", "PingFang SC", "Hiragino Sans GB"),
    *("Microsoft YaHei", "Malgun Gothic", "Segoe UI Symbol", "Noto Sans Symbols2"),
)
"""Fonts of systems, for letters that those lack; what is installed of them is used."""


@contextmanager
def fonts(kind: str) -> Iterator[None]:
    """Draw with these fonts: ``sans`` or ``serif``; in files text stays text, and is embedded."""
    installed = set(fontManager.get_font_names())
    families = [*_OWN[kind], *(name for name in _WIDER if name in installed)]
    with rc_context(
        {
            "font.family": families,
            "mathtext.fontset": {"sans": "dejavusans", "serif": "stix"}[kind],
            "pdf.fonttype": 42,
            "svg.fonttype": "none",
            "svg.hashsalt": "dtd",  # names inside the file, alike each time
            "hatch.linewidth": 0.5,
        }
    ):
        yield


def letters(text: str) -> list[str]:
    """The text letter by letter, one that no font has by its code point, as in ``U+4E2D``."""
    families = tuple(rcParams["font.family"])
    return [c if _is_drawn(c, families) else f" U+{ord(c):04X} " for c in text]


@cache
def _is_drawn(letter: str, families: tuple[str, ...]) -> bool:
    paths = (findfont(FontProperties(family=[name])) for name in families)
    return any(get_font(path).get_char_index(ord(letter)) for path in paths)
