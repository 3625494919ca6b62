"""The roots of one unit for the samples of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dtd.errors import InvalidSetting
from dtd.explainer.explained import Explained
from dtd.ranges import index_of
from dtd.relevance.limits.state import LimitState, states
from dtd.roots.contract import Status

_NUMBERS = ("relevance", "residual", "distance", "limit_error")
_FLAGS = ("admissible", "same_region", "certified")


@dataclass(frozen=True, eq=False)
class RootPoint:
    """The roots of one unit for B samples; (B,) but for ``point`` (B, d).

    Numbers are NaN, and flags false, where there is no root. ``status`` is ``found``,
    ``approximate``, ``inactive``, ``degenerate`` or ``not_found``; of a sample with
    f(x) = 0, which is not explained, it is ``inactive``.
    """

    point: Tensor
    status: list[str]
    relevance: Tensor
    """``h_j`` at the anchor, what the root is to decompose."""
    residual: Tensor
    """``h_j`` at the root."""
    distance: Tensor
    admissible: Tensor
    """Inside the domain of its layer."""
    same_region: Tensor
    """In the linear region of its anchor."""
    certified: Tensor
    """The search proves its answer."""
    limit: list[str]
    """What became of the one-sided limit that the slope at the root, or at one above it, is:
    ``none`` is needed, it is ``taken``, or ``unsettled`` and may be wrong, or ``unbounded``."""
    limit_error: Tensor
    """Its relative error."""


def root_point(
    parts: Sequence[Explained], f: Tensor, widths: Sequence[int], layer: int, unit: int
) -> RootPoint:
    """The roots in layer ``layer`` of the unit ``unit`` of the layer above it.

    ``f`` (B,) are the explained values of the samples, ``widths`` the units per layer.

    Raises:
        InvalidSetting: the explanation has no roots there.
    """
    layer = index_of("layer", layer, len(widths) - 1, "a layer")
    searches = [part.explanation.evidence.get(layer, ()) for part in parts]
    if not all(searches):
        raise InvalidSetting(
            "layer",
            layer,
            "allowed is one with roots: all for the method recursive by enumeration, 0 for "
            "simple_taylor, none for other methods",
        )
    unit = index_of("unit", unit, widths[layer + 1], "a unit")
    units = {unit for roots, *_ in searches for unit in roots.units}
    if units and unit not in units:
        raise InvalidSetting(
            "unit", unit, f"allowed are those that are decomposed: {sorted(units)}"
        )
    nowhere = torch.full_like(f, torch.nan)
    columns = {
        "point": nowhere.unsqueeze(1).repeat(1, widths[layer]),
        **{name: nowhere.clone() for name in _NUMBERS},
        **{name: torch.zeros_like(f, dtype=torch.bool) for name in _FLAGS},
    }
    status = [Status.INACTIVE] * len(f)
    for part, (roots, *_) in zip(parts, searches, strict=True):
        if unit not in roots.units:
            continue
        at = roots.units.index(unit)
        for name in (*_NUMBERS, *_FLAGS):
            columns[name][part.samples] = getattr(roots, name)[:, at]
        rooted = roots.rooted[:, at]
        columns["point"][part.samples[rooted]] = roots.points[rooted, at]
        for sample, value in zip(part.samples.tolist(), roots.status[:, at], strict=True):
            status[sample] = Status(int(value))
    limit = [LimitState(state).name.lower() for state in states(columns["limit_error"]).tolist()]
    return RootPoint(status=[value.name.lower() for value in status], limit=limit, **columns)
