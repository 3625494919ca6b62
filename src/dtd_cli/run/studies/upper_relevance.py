"""The relevance of layer 1 when its activation is scaled."""

from __future__ import annotations

from itertools import accumulate

import pandas as pd
import torch
from torch import Tensor

from dtd.relevance.methods.train_free import redistribute
from dtd_cli.run.explanations import Explanations, Way
from dtd_cli.run.preparation import Prepared

_LAYER = 1
_REACH, _STEPS = 2, 41


def upper_relevance(prepared: Prepared, explanations: Explanations) -> pd.DataFrame:
    """``R_1(c a_1)`` for c from 0 to 2, by the train-free approximation.

    Where the run has the exact recursion, its relevances are there too, as ``recursive``. Were the
    ratio of relevance to activation constant, as LRP takes it, both would be ``c R_1(a_1)``.

    Source: RS (relevance functions), as computed by its published code.
    """
    samples = prepared.explained.nonzero().squeeze(1).tolist()
    c = torch.linspace(0, _REACH, _STEPS, dtype=prepared.x.dtype, device=prepared.x.device)
    parts = []
    for method, relevance in (("train_free", _train_free), ("recursive", _recursive)):
        if Way(method) not in explanations:
            continue
        for sample in samples:
            explained = prepared.recursion_of(sample).explained
            a = explained.activations(prepared.x[sample : sample + 1])[_LAYER]
            # Where f is below zero, -f is decomposed.
            values = prepared.outputs[sample].sign * relevance(prepared, sample, c.unsqueeze(1) * a)
            units = values.shape[1]
            columns = {
                "c": c.repeat_interleave(units),
                "neuron": torch.arange(units).repeat(_STEPS),
                "relevance": values.flatten(),
            }
            numbers = {name: column.cpu().numpy() for name, column in columns.items()}
            parts.append(pd.DataFrame({"method": method, "sample": sample, **numbers}))
    return pd.concat(parts, ignore_index=True)


def _recursive(prepared: Prepared, sample: int, a: Tensor) -> Tensor:
    with torch.no_grad():
        return prepared.recursion_of(sample).relevance(_LAYER, a)


def _train_free(prepared: Prepared, sample: int, a: Tensor) -> Tensor:
    layers = prepared.recursion_of(sample).explained.layers[_LAYER:]
    path = list(accumulate(layers, lambda below, layer: layer(below), initial=a))
    scheme, relevance = prepared.scheme, path.pop()
    parts = zip(layers, path, scheme.rules[_LAYER:], scheme.domains[_LAYER:], strict=True)
    for layer, below, rule, domain in reversed(list(parts)):
        relevance, _ = redistribute(below, layer, rule, domain, relevance)
    return relevance
