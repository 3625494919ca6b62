"""``degree=inf``: the gradient integrated from the root to the anchor (theory, section 5.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dtd.numerics.gradients import differentiate
from dtd.numerics.policy import policy, safe_divide
from dtd.relevance.series.segment import knots
from dtd.relevance.series.series import GROWTH, Gradients, Segments, Series, Shares
from dtd.relevance.slopes.slope import worst


@dataclass(frozen=True)
class Integral(Series):
    """Unit i receives ``Δ_i ∫ ∂_i h_j(ã + sΔ) ds`` over 0 < s < 1.

    The sum of all degrees where the series converges, and complete through kinks: the shares add
    up to ``h_j(a) - h_j(ã)``. Piece by piece between the kinks of the network, by Gauss-Kronrod
    rules that never touch an end, where relevance may be 0/0. A piece is halved until its rule
    has converged, which also closes in on kinks that are no gate's, as those of nested roots.
    Source of the rules and of the error estimate: Piessens et al., QUADPACK, 1983 (QK15).
    """

    @property
    def degree(self) -> None:
        return None

    def shares(self, segments: Segments, graph: bool) -> Shares:
        delta = segments.delta
        error = torch.full_like(delta[:, 0], torch.nan)
        if segments.affine:
            return Shares((delta * _affine(segments)).unsqueeze(1), error)
        s = knots(segments.network, segments.start, segments.roots, delta)
        tolerance = policy(delta.dtype)
        row, piece = (s.diff(dim=1) > tolerance.tie).nonzero(as_tuple=True)
        pieces = _Pieces(row, s[row, piece], s[row, piece + 1])
        total, size, missed = (torch.zeros_like(one) for one in (delta, error, error))
        for halving in range(_MOST_HALVINGS + 1):
            what = f"integrals, halving {halving} of {_MOST_HALVINGS} at most"
            integrals = _integrate(segments, pieces, graph, what)
            if halving == 0:
                size = size.index_add(0, pieces.row, integrals.size)
            open_ = integrals.gap > tolerance.quadrature * size[pieces.row]
            if halving == _MOST_HALVINGS:
                missed = missed.index_add(0, pieces.row[open_], integrals.gap[open_])
                open_ = torch.zeros_like(open_)
            kept = pieces.row[~open_]
            total = total.index_add(0, kept, integrals.integral[~open_])
            error = torch.fmax(error, worst(integrals.limit_error[~open_], kept, len(error)))
            if not open_.any():
                break
            pieces = pieces.halves(open_)
        return Shares((delta * total).unsqueeze(1), torch.fmax(error, _error(missed, size, graph)))

    def points(self) -> int:
        return _PIECES * len(_NODES)

    def cost(self) -> int:
        return GROWTH * len(_NODES)


_PIECES = 6
"""Into so many pieces a segment may fall, as memory counts: at kinks, and by halving."""
_MOST_HALVINGS = 20
"""Of one piece: a kink that is no gate's is located to a millionth of it."""
_DIVERGES = 1e-3
"""What may be missed of an integral, relative to it, if it is finite: a kink leaves a millionth."""


def _error(missed: Tensor, size: Tensor, graph: bool) -> Tensor:
    """The relative error of integrals that have not converged, (N,); NaN where nothing is missed.

    A kink that was not found does not move with the anchor. So with a graph, which is for
    derivatives, the error may be as large as the whole.
    """
    error = torch.where(missed > _DIVERGES * size, torch.inf, 1.0 if graph else missed / size)
    return torch.where(missed > 0, error, torch.nan)


class _Pieces(NamedTuple):
    """Parts ``low < s < high`` of the segments of some rows, all (M,)."""

    row: Tensor
    low: Tensor
    high: Tensor

    def halves(self, wanted: Tensor) -> _Pieces:
        """Both halves of some of the pieces."""
        row, low, high = (column[wanted] for column in self)
        middle = (low + high) / 2
        return _Pieces(row.repeat(2), torch.cat([low, middle]), torch.cat([middle, high]))


def _affine(segments: Segments) -> Tensor:
    """``∫ ∇h ds`` of the last layer, (N, d): its weights, as long as its gate is open."""
    layer = segments.network.layers[segments.start]
    weight = layer.rows(segments.unit, segments.roots)
    if not layer.relu:
        return weight
    ends = torch.stack([segments.roots, segments.roots + segments.delta])
    first, last = (layer.preactivation(end).gather(1, segments.unit[:, None]) for end in ends)
    part = safe_divide(first.relu() + last.relu(), (last - first).abs())
    return weight * torch.where((first >= 0) & (last >= 0), 1, part)


class _Integrals(NamedTuple):
    """Of M pieces."""

    integral: Tensor
    """``∫ ∇h ds``, (M, d)."""
    gap: Tensor
    """By how much the two rules differ, times Δ, (M,)."""
    size: Tensor
    """``∫ |Δ ∇h| ds``, (M,)."""
    limit_error: Tensor
    """(M,), the largest of a limit above; NaN without one."""


def _integrate(segments: Segments, pieces: _Pieces, graph: bool, what: str) -> _Integrals:
    """The integrals over the pieces; ``what`` names the work.

    Without a graph so many pieces at a time as memory allows.
    """
    size = len(pieces.row) if graph else segments.together // len(_NODES)
    columns = (column.split(max(1, size)) for column in pieces)
    chunks = segments.track(list(zip(*columns, strict=True)), what)
    parts = [_apply_rules(segments, _Pieces(*chunk), graph) for chunk in chunks]
    return _Integrals(*(torch.cat(part) for part in zip(*parts, strict=True)))


def _apply_rules(segments: Segments, pieces: _Pieces, graph: bool) -> _Integrals:
    delta = segments.delta[pieces.row]
    x, w, lower = (delta.new_tensor(v) for v in (_NODES, _KRONROD, _GAUSS))
    length = (pieces.high - pieces.low).unsqueeze(1)
    with torch.set_grad_enabled(graph):
        gradients, limit_error = _gradients(segments, pieces, x, graph)
        integral = length * gradients.summed(w)
    with torch.no_grad():
        gap = (length * delta * gradients.summed(w - lower)).abs().amax(1)
        size = (length * delta.abs() * (w @ gradients.all().abs())).amax(1)
    return _Integrals(integral, gap, size, limit_error)


def _gradients(
    segments: Segments, pieces: _Pieces, nodes: Tensor, graph: bool
) -> tuple[Gradients, Tensor]:
    """``∇h`` at the nodes of M pieces, and the largest errors (M,) of the limits above."""
    roots, delta, unit = (
        column[pieces.row] for column in (segments.roots, segments.delta, segments.unit)
    )
    if segments.formula is not None:
        low, high = (roots + s.unsqueeze(1) * delta for s in (pieces.low, pieces.high))
        no_limits = torch.full_like(pieces.low, torch.nan)
        return segments.formula(low, high, nodes, unit), no_limits
    s = pieces.low.unsqueeze(1) + (pieces.high - pieces.low).unsqueeze(1) * nodes
    points = roots.unsqueeze(1) + s.unsqueeze(2) * delta.unsqueeze(1)
    closed = segments.open_gates.new_zeros(s.numel(), segments.open_gates.shape[1])
    units = unit.repeat_interleave(len(nodes))
    _, slopes, limit_error = differentiate(
        lambda at: segments.function(at, closed, units), points.flatten(0, 1), graph
    )
    piece = torch.arange(len(unit), device=unit.device).repeat_interleave(len(nodes))
    return Gradients(slopes.view_as(points)), worst(limit_error, piece, len(unit))


def _symmetric(half: tuple[float, ...], sign: float = 1.0) -> tuple[float, ...]:
    *outer, middle = half
    return (*outer, middle, *(sign * v for v in reversed(outer)))


_NODES = tuple(
    (1 - x) / 2
    for x in _symmetric(
        (
            0.991455371120812639206854697526329, 0.949107912342758524526189684047851,
            0.864864423359769072789712788640926, 0.741531185599394439863864773280788,
            0.586087235467691130294144691258230, 0.405845151377397166906606412076961,
            0.207784955007898467600689403773245, 0.0,
        ),
        -1.0,
    )
)  # fmt: skip
"""The 15 nodes of Kronrod's rule on (0, 1); every second one is a node of Gauss's."""
_KRONROD = tuple(
    w / 2
    for w in _symmetric(
        (
            0.022935322010529224963732008058970, 0.063092092629978553290700663189204,
            0.104790010322250183839876322541518, 0.140653259715525918745189590510238,
            0.169004726639267902826583426598550, 0.190350578064785409913256402421014,
            0.204432940075298892414161999234649, 0.209482141084727828012999174891714,
        )
    )
)  # fmt: skip
_GAUSS = tuple(
    w / 2
    for w in _symmetric(
        (
            0.0, 0.129484966168869693270611432679082, 0.0, 0.279705391489276667901467771423780,
            0.0, 0.381830050505118944950369775488975, 0.0, 0.417959183673469387755102040816327,
        )
    )
)  # fmt: skip
