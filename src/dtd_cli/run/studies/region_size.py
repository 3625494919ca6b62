"""How large the linear region of an activation is, in each layer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from dtd.roots.contract import RootChoice
from dtd.roots.interpolation import Interpolation
from dtd_cli.run.explanations import Explanations
from dtd_cli.run.preparation import Prepared


def region_size(prepared: Prepared, explanations: Explanations) -> pd.DataFrame:
    """The box around the edge points of each layer's linear regions, on the samples' own paths.

    Edge points are the candidates of ``roots=interpolation``, where a layer is searched by it,
    and those of its default settings elsewhere. The anchor is in the box too; where a region never
    ends there is no edge point. One row for each unit of each layer below the output.

    Source: RS (full backward pass).
    """
    samples = prepared.explained.nonzero().squeeze(1)
    # Regions are those of all outputs, so it does not matter which one is explained.
    recursion = prepared.recursion_of(int(samples[0]))
    parts = []
    for start, a in enumerate(prepared.network.activations(prepared.x[samples])[:-1]):
        rays = _rays(prepared.scheme.roots[start])
        # A ray that never ends has its edge point at the anchor.
        points, _ = rays.edge_points(recursion.problem(start, a))
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


def _rays(roots: RootChoice) -> Interpolation:
    """The rays of the layer's own search, or where it has none those of the default settings."""
    return roots if isinstance(roots, Interpolation) else Interpolation()
