"""The evidence that comes with a root: is it one, is it admissible, does the expansion hold?"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dtd.domains import Domain
from dtd.numerics.policy import policy
from dtd.numerics.scale import norm
from dtd.regions.gates import Passage, closed_passage, gradient
from dtd.regions.region import Regions
from dtd.relevance.expansion import Expansion
from dtd.roots.contract import Chains, Roots, Scan, Solution, Status
from dtd.roots.effective_sample_size import effective_sample_size


@dataclass(frozen=True, eq=False)
class ChainEvidence:
    """What became of the Markov chains of one layer, C for each of B samples; all (B, C)."""

    accepted: Tensor
    """Share of the proposals after the warm-up that were accepted."""
    effective_sample_size: Tensor
    scale: Tensor
    """Standard deviation of a proposal's coordinates after the warm-up; NaN if it has none."""
    steps: int
    warmup: int


@dataclass(frozen=True, eq=False)
class Evidence:
    """Roots of one layer's units for B samples; (B, J) but for the points (B, J, d).

    Numbers are NaN, and flags false, where there is no root to speak of.
    """

    finder: str
    units: tuple[int, ...]
    """The decomposed units, numbers in their layer."""
    points: Tensor
    status: Tensor
    relevance: Tensor
    """``h_j(a)``, what the root is to decompose."""
    residual: Tensor
    """``h_j(ã_j)``, on the branch of the anchor."""
    distance: Tensor
    """``‖a - ã_j‖₂``."""
    admissible: Tensor
    """Inside the domain of the layer, up to rounding."""
    same_region: Tensor
    """All gates up to the output agree with the anchor's, but for j's own."""
    gradient_norm: Tensor
    """``‖∇⁺h_j(ã_j)‖₂``."""
    gradient_gap: Tensor
    """The largest difference of an entry of ∇f between root and anchor."""
    output_change: Tensor
    """``f(ã_j) - f(a)``."""
    certified: Tensor
    limit_error: Tensor
    """The relative error of the one-sided limit that the slope is, at the root or at one above it.
    Infinite where the slope grows without bound, NaN where no limit was needed."""
    evaluations: Tensor
    scan: Scan | None
    chains: ChainEvidence | None
    solution: Solution | None

    @property
    def rooted(self) -> Tensor:
        """Which units have a root, (B, J)."""
        return self.status <= Status.APPROXIMATE


def evidence(
    regions: Regions,
    output: int,
    way: Passage,
    slope: Tensor,
    relevance: Tensor,
    domain: Domain,
    finder: str,
    roots: Roots,
    expansion: Expansion,
) -> Evidence:
    """The evidence for the roots of B anchors of one layer.

    Args:
        regions: of the layer, with all outputs: the gates of every unit count.
        output: the one that is explained.
        way: the way of the anchors to the outputs.
        slope: the gradient of the output by the anchors, (B, d).
        relevance: ``h_j(a)``, (B, J).
        domain: where the anchors may lie.
        finder: what tables call the strategy.
        roots: what the strategy returned.
        expansion: what the recursion made of them.
    """
    network, start = regions.network, regions.start
    anchor, unit = expansion.anchor, expansion.unit
    points = roots.points[anchor, unit]
    at_anchor, a = way.rows(anchor), way.activations[0]
    anchors = at_anchor.activations[0]
    at_root = closed_passage(network, start, points, at_anchor)
    gap = gradient(network, start, at_root.gates, output)
    gap -= slope[anchor]
    f = way.activations[-1][:, output]
    change = at_root.activations[-1][:, output] - at_anchor.activations[-1][:, output]
    tolerance = policy(a.dtype)
    slack = tolerance.tie * a.abs().amax(1, keepdim=True)
    place = anchor * relevance.shape[1] + unit

    def spread(fill: float, *columns: Tensor) -> tuple[Tensor, ...]:
        """Each column (N,) as a table (B, J)."""
        full = columns[0].new_full((len(columns), relevance.numel()), fill)
        full.index_copy_(1, place, torch.stack(columns))
        return full.view(-1, *relevance.shape).unbind()

    residual, distance, gradient_norm, gradient_gap, output_change, limit_error = spread(
        torch.nan,
        expansion.value,
        *norm(torch.stack([anchors - points, expansion.slope])),
        gap.abs().amax(1),
        change,
        torch.where(expansion.slope.isinf().any(1), torch.inf, expansion.limit_error),
    )
    admissible, same_region = spread(
        False,
        domain.contains(points, slack[anchor]),
        regions.same(at_root.gates, at_anchor.gates, unit),
    )
    roots = roots.measured(residual, tolerance.residual * f.abs().unsqueeze(1))
    return Evidence(
        finder=finder,
        units=tuple(regions.own.tolist()),
        points=roots.points,
        status=roots.status,
        relevance=relevance,
        residual=residual,
        distance=distance,
        admissible=admissible,
        same_region=same_region,
        gradient_norm=gradient_norm,
        gradient_gap=gradient_gap,
        output_change=output_change,
        certified=roots.certified,
        limit_error=limit_error,
        evaluations=torch.as_tensor(roots.evaluations).expand(roots.status.shape),
        scan=roots.scan,
        chains=None if roots.chains is None else _chain_evidence(roots.chains),
        solution=roots.solution,
    )


def _chain_evidence(chains: Chains) -> ChainEvidence:
    return ChainEvidence(
        chains.accepted,
        effective_sample_size(chains.states),
        chains.scale,
        steps=chains.states.shape[2],
        warmup=chains.warmup,
    )
