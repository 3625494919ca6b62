"""A picture for dark paper."""

from __future__ import annotations

import numpy as np
from matplotlib.artist import Artist, getp
from matplotlib.colors import to_hex, to_rgba_array
from matplotlib.figure import Figure

from dtd_cli.plots import style

PAPER = "#16181b"
_INKS = {
    "#000000": "#e4e4e4",
    style.INK: "#e4e4e4",
    style.DARK: "#c4c4c4",
    style.MUTED: "#a0a0a0",
    style.GRAY: "#6a6d72",
    style.FAINT: "#4a4d52",
}
"""Other colours can be seen on both papers."""
_INKED = ("color", "edgecolor", "markeredgecolor", "markerfacecolor")


def darken(picture: Figure) -> None:
    """Change a picture from white paper to dark; what is written on images stays as it is.

    Ticks and their texts come into being when a picture is drawn: it has been drawn before.
    """
    on_images = {text for axes in picture.axes if axes.images for text in axes.texts}
    for artist in picture.findobj(lambda artist: artist not in on_images):
        for name in _INKED:
            _recolour(artist, name, _INKS)
        _recolour(artist, "facecolor", {**_INKS, "#ffffff": PAPER})


def _recolour(artist: Artist, name: str, inks: dict[str, str]) -> None:
    """Change the colours of a property, if the artist has it."""
    if hasattr(artist, f"get_{name}") and hasattr(artist, f"set_{name}"):
        colours = to_rgba_array(getp(artist, name))
        changed = [inks.get(to_hex(colour), to_hex(colour)) for colour in colours]
        mixed = np.column_stack([to_rgba_array(changed)[:, :3], colours[:, 3]])
        artist.set(**{name: mixed[0] if len(mixed) == 1 else mixed})
