"""How large the linear region of an activation is, in each layer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dtd.roots.chains import ChainSearch
from dtd.roots.contract import RootChoice, RootProblem
from dtd.roots.interpolation import Interpolation
from dtd_cli.run.explanations import Explanations
from dtd_cli.run.preparation import Prepared


def region_size(prepared: Prepared, explanations: Explanations) -> pd.DataFrame:
    """The box around points of each layer's linear regions, on the samples' own paths.

    The points are those where the rays of ``roots=interpolation`` leave the region, or the states
    of ``metropolis`` and ``hit_and_run``, as a layer is searched; elsewhere they are the rays of
    its default settings. The anchor is in the box too; a ray that never ends has no point. One row
    for each unit of each layer below the output.

    Source: RS (full backward pass; size of the linear regions).
    """
    samples = prepared.explained.nonzero().squeeze(1)
    # Regions are those of all outputs, so it does not matter which one is explained.
    recursion = prepared.recursion_of(int(samples[0]))
    parts = []
    for start, a in enumerate(prepared.network.activations(prepared.x[samples])[:-1]):
        points = _points(prepared.scheme.roots[start], recursion.problem(start, a))
        columns = {
            "low": torch.minimum(points.amin(1), a),
            "activation": a,
            "high": torch.maximum(points.amax(1), a),
        }
        numbers = {name: values.flatten().double().cpu() for name, values in columns.items()}
        sample, neuron = np.divmod(np.arange(a.numel()), a.shape[1])
        keys = {"sample": samples.cpu().numpy()[sample], "layer": start, "neuron": neuron}
        parts.append(pd.DataFrame({**keys, **{k: v.numpy() for k, v in numbers.items()}}))
    return pd.concat(parts, ignore_index=True)


def _points(roots: RootChoice, problem: RootProblem) -> Tensor:
    """Points (B, N, d) in the closures of the anchors' regions."""
    if isinstance(roots, ChainSearch):
        return roots.sample(problem).states.flatten(1, 2)
    rays = roots if isinstance(roots, Interpolation) else Interpolation()
    # A ray that never ends has its edge point at the anchor.
    points, _ = rays.edge_points(problem)
    return points
