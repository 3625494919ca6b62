"""Matplotlib as it comes. Whoever draws imports this first.

Matplotlib looks for a ``matplotlibrc`` in the working folder before all other places, when it is
imported. That may be a folder of somebody else, and how its owner draws is not how these pictures
are drawn.
"""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path

with chdir(Path(__file__).parent):
    import matplotlib  # noqa: F401
