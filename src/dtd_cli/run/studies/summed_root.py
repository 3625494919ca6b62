"""A root of the summed relevance of the first hidden layer, and what the relevance is there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.autograd.functional import jacobian

from dtd.explainer.frames import names
from dtd.relevance.limits.state import LimitState, states
from dtd.relevance.recursion import Recursion
from dtd_cli.run.explanations import Explanations
from dtd_cli.run.preparation import Prepared

_CANDIDATES = 10_000
_SCAN = (-0.3, 1.05, 100)
"""Where a scan starts and ends, 0 being the candidate and 1 the input, and its points."""
_TOLERANCE = 1e-2
"""Below it a summed relevance counts as zero; not relative, as in the later notebook."""
_HELD = 100_000
"""Root points held in memory together."""


def summed_root(prepared: Prepared, explanations: Explanations) -> pd.DataFrame:
    """The nearest root of ``H = Σ_j h_j`` on the lines to 10,000 candidates, for every sample.

    Candidates are ``x + (5 + 3 r) randn`` with one normal r each. From every one with
    ``H <= 0.01`` a scan of 100 points leads past the input; its root is the last point with
    ``H <= 0.01``. One row for each unit of layer 1 and each input: h_j at the input and at the
    root, and ``∂h_j/∂x_i`` at the root; what became of the limits that h_j at the root depends on.
    No root, and no numbers, where H(x) itself is so small.

    Source: the later form of the seed notebook (published as code beside RS).
    """
    samples = prepared.explained.nonzero().squeeze(1).tolist()
    parts = [_of_sample(prepared, sample) for sample in samples]
    return pd.concat(parts, ignore_index=True)


def _of_sample(prepared: Prepared, sample: int) -> pd.DataFrame:
    x = prepared.x[sample]
    recursion = replace(prepared.recursion_of(sample), max_points=_HELD)
    with torch.no_grad():
        here = recursion.upper(0, x.unsqueeze(0)).squeeze(0)
        root = _nearest_root(recursion, x)
    there, slope = torch.full_like(here, torch.nan), here.new_full((len(here), len(x)), torch.nan)
    limits = np.array([""])
    if root.isfinite().all():
        at_root = recursion.upper_and_limits(0, root.detach().unsqueeze(0))
        there, limits = at_root.relevance.squeeze(0), names(states(at_root.limit_error), LimitState)
        slope = jacobian(lambda p: recursion.upper(0, p.unsqueeze(0), graph=True).squeeze(0), root)
    units, inputs = slope.shape
    # Where f is below zero, the relevances are those of -f, and get its sign back.
    here, there, slope = (prepared.outputs[sample].sign * part for part in (here, there, slope))
    columns = {
        "relevance": here.repeat_interleave(inputs),
        "relevance_at_root": there.repeat_interleave(inputs),
        "x": x.repeat(units),
        "root": root.repeat(units),
        "gradient": slope.flatten(),
    }
    numbers = {name: column.detach().double().cpu().numpy() for name, column in columns.items()}
    neurons, indices = np.divmod(np.arange(units * inputs), inputs)
    keys = {"sample": sample, "neuron": neurons, "index": indices}
    return pd.DataFrame({**keys, **numbers, "limits_at_root": limits.repeat(units * inputs)})


def _nearest_root(recursion: Recursion, x: Tensor) -> Tensor:
    """The root (d,) of the summed relevance that is nearest to ``x`` (d,), NaN without one."""
    generator = recursion.plans[0].generator.clone_state()
    length = 3 * torch.randn(_CANDIDATES, 1, generator=generator) + 5
    offset = torch.randn(_CANDIDATES, len(x), generator=generator) * length
    candidates = x + offset.to(x)
    total = recursion.upper(0, torch.cat([x.unsqueeze(0), candidates])).sum(1)
    nowhere = torch.full_like(x, torch.nan)
    if total[0] <= _TOLERANCE:
        return nowhere
    zero = candidates[total[1:] <= _TOLERANCE].unsqueeze(1)
    scan = torch.linspace(*_SCAN, dtype=x.dtype, device=x.device)
    points = zero + scan[:, None] * (x - zero)
    below = recursion.upper(0, points.flatten(0, 1)).sum(1).view(points.shape[:2]) <= _TOLERANCE
    index = torch.arange(len(scan), device=x.device)
    last = torch.where(below, index, -1).amax(1)
    roots = points[last >= 0, last[last >= 0]]
    return roots[(roots - x).norm(dim=1).argmin()] if len(roots) else nowhere
