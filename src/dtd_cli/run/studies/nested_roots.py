"""The tree of nested roots below one input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from dtd.roots.contract import Status
from dtd_cli.run.explanations import Explanations
from dtd_cli.run.preparation import Prepared

_HELD = 100_000
"""Root points held in memory together."""


@torch.no_grad()
def nested_roots(prepared: Prepared, explanations: Explanations) -> pd.DataFrame:
    """Every root that R_0 of the first explained sample is made of.

    The roots of layer 0 are those of the units of layer 1, with the input as their anchor. To
    evaluate a relevance at such a root it has to be decomposed there, so the root's activation in
    layer 1 is the anchor of the units of layer 2, and so on. One row a unit; ``parent`` is the
    root at which it is decomposed, empty in layer 0.

    Source: RS (full backward pass).
    """
    sample = int(prepared.explained.nonzero()[0])
    recursion = replace(prepared.recursion_of(sample), max_points=_HELD)
    anchors, parents = prepared.x[sample : sample + 1], np.array([np.nan])
    levels, count = [], 0
    for start, layer in enumerate(recursion.explained.layers):
        problem = recursion.problem(start, anchors)
        roots = recursion.plans[start].finder(problem)
        units = roots.status.shape[1]
        offset = (roots.points - anchors.unsqueeze(1)).norm(dim=2)
        distance = torch.where(roots.contributes, offset, torch.nan)
        names = np.array([status.name.lower() for status in Status])
        levels.append(
            pd.DataFrame(
                {
                    "sample": sample,
                    "node": count + np.arange(roots.status.numel()),
                    "parent": parents.repeat(units),
                    "layer": start,
                    "neuron": np.tile(problem.regions.own.cpu().numpy(), len(anchors)),
                    "status": names[roots.status.flatten().cpu().numpy()],
                    "relevance": problem.relevance(anchors).flatten().double().cpu().numpy(),
                    "distance": distance.flatten().double().cpu().numpy(),
                }
            )
        )
        rooted = roots.contributes.flatten()
        anchors = layer(roots.points.flatten(0, 1)[rooted])
        parents = levels[-1]["node"].to_numpy()[rooted.cpu().numpy()]
        count += len(levels[-1])
    tree = pd.concat(levels, ignore_index=True)
    return tree.astype({"parent": "Int64"})
