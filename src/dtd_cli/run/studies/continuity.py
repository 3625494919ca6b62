"""How much relevance can change between two inputs, relative to their distance."""

from __future__ import annotations

import pandas as pd
import torch
from torch.nn.functional import pdist

from dtd_cli.run.explanations import Explanations
from dtd_cli.run.preparation import Prepared
from dtd_cli.run.studies.study import by_way, input_relevances


def continuity(prepared: Prepared, explanations: Explanations) -> pd.DataFrame:
    """For every method the largest ``‖R_0(x) - R_0(x')‖₁ / ‖x - x'‖₂`` over all pairs of samples.

    Samples that have no finite relevance are left out.

    Source: G. Montavon, W. Samek, K.-R. Müller, Methods for interpreting and understanding deep
    neural networks, Digital Signal Processing 73, 2018 (explanation continuity).
    """
    samples, relevances = input_relevances(prepared, explanations)
    distance = pdist(prepared.x[prepared.explained].double().cpu())
    first, second = torch.triu_indices(len(samples), len(samples), 1)
    apart = distance > 0
    rows = []
    for way, relevance in relevances.items():
        change = pdist(torch.tensor(relevance), p=1)
        ratio = torch.where(apart, change, 0) / torch.where(apart, distance, 1)
        known = change.isfinite()
        if known.any():
            at = int(torch.where(known, ratio, -1).argmax())
            pair = samples[int(first[at])], samples[int(second[at])]
            rows.append((*way, float(ratio[at]), *pair))
    columns = ["method", "roots", "score", "sample", "other_sample"]
    return by_way(pd.DataFrame(rows, columns=columns))
