"""Of many points that the units share, the root of each."""

from __future__ import annotations

import torch
from torch import Tensor

from dtd.roots.contract import RootProblem, Roots, Status
from dtd.roots.location import Location


def best_candidates(
    problem: RootProblem, candidates: Tensor, usable: Tensor, tol: float, location: Location
) -> Roots:
    """For each unit the candidate with the smallest |h_j|.

    Of several roots, ``|h_j| <= tol |h_j(a)|``, the nearest: |h_j| is rounding there, which must
    not choose.

    Args:
        problem: the search.
        candidates: (B, N, d).
        usable: (B, N), false for candidates that are none.
        tol: relative tolerance of a root.
        location: what is known of where the candidates lie.
    """
    a = problem.anchors
    at_anchor = problem.relevance(a)
    relevance = problem.relevance(candidates.flatten(0, 1)).unflatten(0, candidates.shape[:2])
    size = torch.where(usable.unsqueeze(2), relevance.abs(), torch.inf)
    root = size <= (tol * at_anchor.abs()).unsqueeze(1)
    rooted = root.any(1)
    distance = (candidates - a.unsqueeze(1)).norm(dim=2, keepdim=True)
    score = torch.where(rooted.unsqueeze(1), torch.where(root, distance, torch.inf), size)
    best = score.argmin(1).unsqueeze(2).expand(-1, -1, a.shape[1])
    status = torch.full_like(at_anchor, Status.APPROXIMATE, dtype=torch.int8)
    status[rooted] = Status.FOUND
    status[~usable.any(1)] = Status.NOT_FOUND
    status[at_anchor == 0] = Status.INACTIVE
    return Roots(
        candidates.gather(1, best),
        status,
        location,
        certified=torch.zeros_like(status, dtype=torch.bool),
        evaluations=1 + candidates.shape[1],
    )
