"""How much relevance can change between two inputs, relative to their distance."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import torch
from torch.nn.functional import pdist

from dtd_cli.run.preparation import Prepared
from dtd_cli.run.studies.study import input_relevances


def continuity(prepared: Prepared, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """For every method the largest ``‖R_0(x) - R_0(x')‖₁ / ‖x - x'‖₂`` over all pairs of samples.

    Source: G. Montavon, W. Samek, K.-R. Müller, Methods for interpreting and understanding deep
    neural networks, Digital Signal Processing 73, 2018 (explanation continuity).
    """
    samples, relevances = input_relevances(tables)
    distance = pdist(prepared.x[samples.tolist()].double().cpu())
    first, second = torch.triu_indices(len(samples), len(samples), 1)
    apart = distance > 0
    rows = []
    for method, relevance in relevances.items():
        change = pdist(torch.tensor(relevance), p=1)
        ratio = torch.where(apart, change, 0) / torch.where(apart, distance, 1)
        if len(ratio):
            at = int(ratio.argmax())
            pair = samples[int(first[at])], samples[int(second[at])]
            rows.append((method, float(ratio[at]), *pair))
    return pd.DataFrame(rows, columns=["method", "score", "sample", "other_sample"])
