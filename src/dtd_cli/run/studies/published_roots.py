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
"""The published code skips a unit with ``|w_j v_j|`` of this size or less."""
_GAP = 1e-5
"""Entries of two gradients that differ by more make them different."""


def published_roots(prepared: Prepared, explanations: Explanations) -> pd.DataFrame:
    """f and its gradient at the published "roots" of the input, against those at the input.

    The published code takes the step from the unit's relevance, ``t_j = R_j / (w_j v_j)``, where
    the theory takes it from the pre-activation. R_j is the train-free relevance of layer 1. Where
    the run has the exact recursion, its points are there too, as the method ``recursive``. All
    units of layer 1 take part, also dead ones. Rules that go to a reference point take no step.

    Source: RS (roots and linear regions), as computed by its published code.
    """
    samples = prepared.explained.nonzero().squeeze(1)
    a, layer = prepared.x[samples], prepared.network.layers[0]
    rule, domain = prepared.scheme.rules[0], prepared.scheme.domains[0]
    terms = rule.terms(a, layer, domain)
    total = Divisor(terms).value
    steps = rule.divisor(terms, domain) is not None
    taken = total.abs() > _PARALLEL if steps else torch.ones_like(total, dtype=torch.bool)
    ones = a.new_ones(1, prepared.network.widths[-1])
    rows = torch.cat([prepared.outputs[sample].relevance(ones) for sample in samples.tolist()])
    here = _gradient(prepared, a, rows)
    sample, unit = taken.nonzero(as_tuple=True)
    parts = []
    for method in ("train_free", "recursive"):
        if Way(method) not in explanations:
            continue
        # Where f is below zero, -f is decomposed.
        relevance = explanations[Way(method)].relevance[1].flatten(1)
        decomposed = (relevance * prepared.f.sign().unsqueeze(1))[samples]
        t = decomposed / torch.where(taken, total, 1) if steps else torch.ones_like(total)
        points = (a.unsqueeze(1) - t.unsqueeze(2) * direction(terms))[taken]
        f = (prepared.network.forward(points) * rows[sample]).sum(1)
        gap = (_gradient(prepared, points, rows[sample]) - here[sample]).abs().amax(1)
        columns = {
            "sample": samples[sample],
            "neuron": unit,
            "output_change": f - prepared.f[samples][sample],
            "gradient_change": gap,
            "another_gradient": gap > _GAP,
        }
        numbers = {name: column.cpu().numpy() for name, column in columns.items()}
        parts.append(pd.DataFrame({"method": method, **numbers}))
    return pd.concat(parts, ignore_index=True)


def _gradient(prepared: Prepared, points: Tensor, rows: Tensor) -> Tensor:
    """∇f of each point, (N, d), where f is the sum of the outputs with its factors (N, K)."""
    network, pattern = prepared.network, gates(prepared.network, 0, points)
    slopes = [gradient(network, 0, pattern, output) for output in range(network.widths[-1])]
    return (torch.stack(slopes, 1) * rows.unsqueeze(2)).sum(1)
