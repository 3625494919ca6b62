"""How the output follows the input when it is scaled towards the origin."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from dtd_cli.run.explanations import Explanations
from dtd_cli.run.preparation import Prepared

_STEPS = 101


def output_scaling(prepared: Prepared, explanations: Explanations) -> pd.DataFrame:
    """``f(c x) / f(x)`` for c from 0 to 1; in a network without biases it is c.

    Source: RS (the influence of biases).
    """
    samples = prepared.explained.nonzero().squeeze(1)
    x, f = prepared.x[samples], prepared.f[samples]
    c = torch.linspace(0, 1, _STEPS, dtype=x.dtype, device=x.device)
    scaled = (c[:, None, None] * x).flatten(0, 1)
    y = prepared.network.forward(scaled).view(_STEPS, len(samples), -1)
    outputs = [prepared.outputs[sample] for sample in samples.tolist()]
    values = [output.relevance(y[:, row]).sum(1) for row, output in enumerate(outputs)]
    ratio = torch.stack(values, 1) / f
    return pd.DataFrame(
        {
            "sample": np.repeat(samples.cpu().numpy(), _STEPS),
            "c": np.tile(c.double().cpu().numpy(), len(samples)),
            "ratio": ratio.T.flatten().double().cpu().numpy(),
        }
    )
