"""How many independent draws a Markov chain is worth."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def effective_sample_size(states: Tensor) -> Tensor:
    """The effective sample size of chains (..., S, d), the smallest over the coordinates, (...).

    ``S / τ`` with ``τ = 1 + 2 Σ ρ_t``; the autocorrelations ρ are summed by Geyer's initial
    monotone sequence, and τ is bounded below by 1 / log10 S, as in Stan. Coordinates that never
    move do not count; a chain that never moves is worth 0.

    Source: C. J. Geyer, Practical Markov chain Monte Carlo, Statistical Science 7, 1992
    (initial sequence estimators); A. Vehtari et al., Rank-normalization, folding, and
    localization: an improved R̂, Bayesian Analysis 16, 2021 (effective sample size).
    """
    series = states.movedim(-1, 0)
    moving = (series != series[..., :1]).any(-1)
    length = series.shape[-1]
    centred = series - series.mean(-1, keepdim=True)
    # Padded to twice the length, the circular correlation of the transform is the plain one.
    spectrum = torch.fft.rfft(centred, 2 * length)
    covariance = torch.fft.irfft(spectrum.abs().square(), 2 * length)[..., :length]
    correlation = covariance / torch.where(moving, covariance[..., 0], 1).unsqueeze(-1)
    pairs = correlation[..., : length - length % 2].unflatten(-1, (-1, 2)).sum(-1)
    initial = (pairs > 0).cumprod(-1) * pairs.cummin(-1).values
    time = (2 * initial.sum(-1) - 1).clamp(min=1 / math.log10(max(length, 2)))
    size = torch.where(moving, length / time, torch.inf).amin(0)
    return torch.where(moving.any(0), size, 0)
