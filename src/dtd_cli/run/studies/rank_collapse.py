"""Products of train-free layers: do all units of a layer explain themselves alike?"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dtd.relevance.methods.train_free import redistribute
from dtd_cli.run.explanations import Explanations
from dtd_cli.run.preparation import Prepared


def rank_collapse(prepared: Prepared, explanations: Explanations) -> pd.DataFrame:
    """Cosine similarity of the columns of a product of train-free layers, against its length.

    Column j of the product of the layers 1..l is the relevance of the inputs when all relevance
    of layer l is in its unit j. With ``z+`` the matrices have no negative entries, and their
    product converges to rank one: its columns become parallel, whatever is explained.

    Source: Sixt, Granz, Landgraf, When explanations lie (ICML 2020), on the z+ rule.
    """
    samples = prepared.explained.nonzero().squeeze(1)
    path = prepared.network.activations(prepared.x[samples])
    rows = []
    for length in range(1, prepared.network.depth + 1):
        columns = _columns(prepared, path, length)
        for sample, similarity in zip(samples.tolist(), _similarities(columns), strict=True):
            if len(similarity):
                least, mean = float(similarity.min()), float(similarity.mean())
                rows.append((sample, length, least, mean))
    return pd.DataFrame(rows, columns=["sample", "layers", "least_cosine", "mean_cosine"])


def _columns(prepared: Prepared, path: list[Tensor], length: int) -> Tensor:
    """The product of the first ``length`` layers, transposed: (B, d_length, d_0)."""
    units = path[length].shape[1]
    upper = torch.eye(units, dtype=path[0].dtype, device=path[0].device)
    upper = upper.repeat(len(path[0]), 1)
    for start in reversed(range(length)):
        layer, a = prepared.network.layers[start], path[start].repeat_interleave(units, 0)
        rule, domain = prepared.scheme.rules[start], prepared.scheme.domains[start]
        upper, _ = redistribute(a, layer, rule, domain, upper)
    return upper.view(len(path[0]), units, -1)


def _similarities(columns: Tensor) -> list[np.ndarray]:
    """For each sample the cosines of all pairs of columns that are not zero."""
    similarities = []
    for matrix in columns:
        size = matrix.norm(dim=1)
        unit = matrix[size > 0] / size[size > 0].unsqueeze(1)
        cosines = unit @ unit.T
        first, second = torch.triu_indices(len(unit), len(unit), 1)
        similarities.append(cosines[first, second].double().cpu().numpy())
    return similarities
