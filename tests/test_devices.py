"""Nothing makes a tensor elsewhere than on the device of the network.

Most machines that run tests have no other device than the CPU. Here a tensor that is made without
saying where is on torch's device ``meta``, which no other device gets on with.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest
import torch
from torch.overrides import TorchFunctionMode

import dtd
from cases import positive_input, random_network

MADE = (torch.arange, torch.empty, torch.eye, torch.full, torch.ones, torch.tensor, torch.zeros)
NET = random_network((5, 4, 3, 2), 6, "positive")
X = positive_input(5, 1, n=2)
BOX = dtd.Domain.box(torch.zeros(5), torch.ones(5))
SETTINGS = [
    {},
    {"method": "train_free"},
    {"method": "gradient_x_input"},
    {"method": "simple_taylor"},
    {"degree": 2},
    {"degree": inf},
    {"root_dependence": "constant"},
    {"estimator": dtd.MonteCarlo(paths=50)},
    {"input_rule": "zB", "domain": BOX},
    *({"rule": rule} for rule in ("w2", "gamma", "x", "zero", "pinv")),
    *(
        {"input_roots": roots}
        for roots in ("line", "random", "interpolation", "metropolis", "hit_and_run", "polytope")
    ),
]
NAMES = ["-".join(map(str, setting.values())).split("(")[0] or "default" for setting in SETTINGS]


class Elsewhere(TorchFunctionMode):
    """Tensors that are made without a device are nowhere; what is drawn is drawn on the CPU."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function in MADE and kwargs.get("device") is None:
            kwargs = kwargs | {"device": "meta"}
        return function(*args, **kwargs)


@pytest.mark.parametrize("setting", SETTINGS, ids=NAMES)
def test_all_tensors_are_on_the_device_of_the_network(setting):
    explainer = dtd.DTD(NET, **setting)
    want = explainer.explain(X, target=0)
    assert any(relevance.any() for relevance in want.relevance[:-1] if relevance is not None)
    with Elsewhere():
        got = explainer.explain(X, target=0)
    for mine, other in zip(got.relevance, want.relevance, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=0, equal_nan=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("setting", SETTINGS, ids=NAMES)
def test_a_gpu_has_the_numbers_of_the_cpu(setting):
    there = replace(dtd.DTD(NET, **setting), model=NET.to(torch.float64, torch.device("cuda")))
    got, want = there.explain(X.cuda(), target=0), dtd.DTD(NET, **setting).explain(X, target=0)
    for mine, other in zip(got.relevance, want.relevance, strict=True):
        assert (mine is None) == (other is None)
        if mine is not None:
            assert mine.is_cuda
            torch.testing.assert_close(mine.cpu(), other, rtol=1e-12, atol=1e-12, equal_nan=True)
