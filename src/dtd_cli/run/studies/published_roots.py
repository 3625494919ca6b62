"""The protocol of the published code for roots that leave the region of their anchor."""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor

from dtd.regions.gates import gates, gradient
from dtd.rules.rule import Divisor, direction
from dtd_cli.run.explanations import Explanations, Way
from dtd_cli.run.preparation import Prepared

_PARALLEL = 1e-5
"""The published code skips a unit with ``|w_j v_j|`` below this."""
_GAP = 1e-5
"""From which difference of an entry on it calls a gradient another."""


def published_roots(prepared: Prepared, explanations: Explanations) -> pd.DataFrame:
    """For every sample, how many of the input's published "roots" have another gradient of f.

    The published code takes the step from the unit's relevance, ``t_j = R_j / (w_j v_j)``, where
    the theory takes it from the pre-activation; R_j is that of the method ``recursive``. All units
    of layer 1 take part, also dead ones, whose point is the input itself.

    Source: RS (roots and linear regions), as computed by its published code.
    """
    samples = prepared.explained.nonzero().squeeze(1)
    a, layer = prepared.x[samples], prepared.network.layers[0]
    rule, domain = prepared.scheme.rules[0], prepared.scheme.domains[0]
    terms = rule.terms(a, layer, domain)
    total = Divisor(terms).value
    taken = total.abs() > _PARALLEL
    # Where f is below zero, -f is decomposed.
    decomposed = explanations[Way("recursive")].relevance[1].flatten(1)
    decomposed = decomposed * prepared.f.sign().unsqueeze(1)
    t = decomposed[samples] / torch.where(taken, total, 1)
    if rule.divisor(terms) is None:
        t, taken = torch.ones_like(t), torch.ones_like(taken)
    points = a.unsqueeze(1) - t.unsqueeze(2) * direction(terms)
    ones = a.new_ones(1, prepared.network.widths[-1])
    rows = torch.cat([prepared.outputs[sample].relevance(ones) for sample in samples.tolist()])
    here = _gradient(prepared, a, rows).unsqueeze(1)
    there = _gradient(prepared, points.flatten(0, 1), rows.repeat_interleave(points.shape[1], 0))
    gap = (there.view_as(points) - here).abs().amax(2)
    leaves = taken & (gap > _GAP)
    return pd.DataFrame(
        {
            "sample": samples.cpu().numpy(),
            "points": taken.sum(1).cpu().numpy(),
            "points_with_another_gradient": leaves.sum(1).cpu().numpy(),
            "any_with_another_gradient": leaves.any(1).cpu().numpy(),
        }
    )


def _gradient(prepared: Prepared, points: Tensor, rows: Tensor) -> Tensor:
    """∇f of each point, (N, d), where f is the sum of the outputs with its factors (N, K)."""
    network, pattern = prepared.network, gates(prepared.network, 0, points)
    slopes = [gradient(network, 0, pattern, output) for output in range(network.widths[-1])]
    return (torch.stack(slopes, 1) * rows.unsqueeze(2)).sum(1)
