"""What a composed configuration says: its settings by dotted name, and which of them matter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

NOT_OF_THE_RUN = frozenset(
    {"sweep", "device", "progress", "force", "verify", "report", "objective"}
)
"""Settings that say where and how a run is made, not what it is."""

NOT_OF_THE_RESULTS = NOT_OF_THE_RUN | {"plots", "threads"}
"""Also those that change what is drawn, or how fast: runs that differ in them explain alike."""


def leaves(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value by its dotted name; an empty mapping is a value."""
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
