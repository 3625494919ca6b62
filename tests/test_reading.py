"""Modules as they come: each is read as what ``torch`` computes, or refused with its place."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations

import dtd
from test_library import refused


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        yield


def normalisation(units, **settings):
    """Statistics and weights that are not those of a new module."""
    made = nn.BatchNorm1d(units, **settings)
    for tensor in (made.running_mean, made.weight, made.bias):
        if tensor is not None:
            nn.init.normal_(tensor)
    nn.init.uniform_(made.running_var, 0.1, 3)
    return made


class Own(nn.Module):
    """A module whose forward is ``way``; ``layers`` are its submodules."""

    def __init__(self, way, **layers):
        super().__init__()
        self.way = way
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x, scale=None, flag=False):
        return self.way(self, x) if scale is None and not flag else scale


def own(way):
    return Own(way, a=nn.Linear(4, 6), b=nn.Linear(6, 6), c=nn.Linear(6, 3))


def of_functions(m, x):
    h = torch.relu(m.a(x.view(x.size(0), -1)))
    h = functional.dropout(functional.relu(m.b(h)), 0.3, m.training)
    return functional.linear(h, m.c.weight, m.c.bias)


def of_methods(m, x):
    return m.c(m.b(m.a(x.reshape(x.shape[0], 4)).relu()).relu_().contiguous())


def old(norm):
    def make():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return nn.Sequential(norm(nn.Linear(4, 6)), nn.ReLU(), nn.Linear(6, 2))

    return make


def shared():
    layer = nn.Linear(4, 4)
    return nn.Sequential(layer, nn.ReLU(), layer)


def tied():
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    return nn.Sequential(first, nn.ReLU(), second)


def computed():
    module = nn.Sequential(nn.Linear(4, 2))
    module.extra = 2 * module[0].weight
    return module


def spectral():
    return parametrizations.spectral_norm(nn.Linear(4, 6))


CHAINS = {
    "normalised": (
        lambda: nn.Sequential(nn.Linear(4, 6), normalisation(6), nn.ReLU(), nn.Linear(6, 3)), 2),
    "after": (
        lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), normalisation(6), nn.Linear(6, 3)), 2),
    "first": (lambda: nn.Sequential(normalisation(4), nn.Linear(4, 6), nn.ReLU()), 1),
    "last": (lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), normalisation(6)), 2),
    "plain norm": (
        lambda: nn.Sequential(nn.Linear(4, 6), normalisation(6, affine=False, eps=0.1)), 1),
    "functions": (lambda: own(of_functions), 3),
    "methods": (lambda: own(of_methods), 3),
    "in place": (lambda: own(lambda m, x: m.c(functional.relu(m.a(x), inplace=True))), 2),
    "shared": (shared, 2),
    "tied": (tied, 2),
    "computed": (computed, 1),
    "nested": (lambda: nn.Sequential(own(of_methods), nn.ReLU(), nn.Linear(3, 2)), 4),
    "spectral": (lambda: nn.Sequential(spectral(), nn.ReLU(), nn.Linear(6, 2)), 2),
    "weight norm": (lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 6))), 1),
    "old weight norm": (old(nn.utils.weight_norm), 2),
    "old spectral norm": (old(nn.utils.spectral_norm), 2),
    "list": (lambda: Own(lambda m, x: m.list[1](m.list[0](x).relu()),
                         list=nn.ModuleList([nn.Linear(4, 6), nn.Linear(6, 2)])), 2),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("make", "depth"), CHAINS.values(), ids=CHAINS)
def test_a_chain_is_what_torch_computes(make, depth, dtype):
    module = make().eval().to(dtype)
    network = dtd.DTD(module).network
    assert network.depth == depth
    x = torch.randn(50, 4)
    want = module.double()(x.double())
    # Its own precision is that in which torch computes a parametrised weight.
    parametrised = any("original" in name or "weight_" in name for name in module.state_dict())
    tolerance = 8 * torch.finfo(dtype).eps if parametrised else 1e-9
    torch.testing.assert_close(
        network.forward(x.double()), want, rtol=tolerance, atol=max(tolerance, 1e-9)
    )


def test_conversions_that_change_nothing():
    module = own(lambda m, x: m.c(m.a(x.float()).relu()))
    assert dtd.DTD(module).network.widths == (4, 6, 3)
    with refused("model=Own: it calls float"):
        dtd.DTD(module.double())


def test_units_of_a_layer_are_those_behind_its_normalisation():
    """The relevance of a layer belongs to what goes through its ReLU."""
    module = nn.Sequential(nn.Linear(4, 6), normalisation(6), nn.ReLU(), nn.Linear(6, 3)).eval()
    x = torch.randn(5, 4, dtype=torch.float64)
    got = dtd.DTD(module).network.forward(x, 0, 1)
    torch.testing.assert_close(got, module.double()[:3](x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 2), (1, 2, 2), (4,)])
@pytest.mark.parametrize(
    "way",
    [
        lambda m, x: m.c(m.b(m.a(torch.flatten(x, 1)).relu())),
        lambda m, x: m.c(m.b(m.a(x.view(-1, 4)).relu())),
        lambda m, x: m.c(m.b(m.a(x.reshape(x.size(0), -1)).relu())),
    ],
)
def test_a_module_of_ones_own_flattens(way, shape):
    module = own(way)
    x = torch.rand(5, *shape)
    assert dtd.DTD(module).explain(x).attribution.shape == x.shape


def test_a_module_that_takes_images_only():
    module = own(lambda m, x: m.c(m.a(x.flatten(1, 3)).relu()))
    x = torch.rand(5, 1, 2, 2)
    assert dtd.DTD(module).attribute(x).shape == x.shape


class Loud(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


REFUSED = {
    "residual": (lambda: own(lambda m, x: m.c((h := m.a(x).relu()) + m.b(h))),
                 r"Own: it calls add.*relu in Own and the output of b \(Linear\).*branch"),
    "inner residual": (lambda: nn.Sequential(nn.Linear(4, 4), Own(lambda m, x: x + m.a(x),
                       a=nn.Linear(4, 4))), r"1 \(Own\): it calls add.*0 \(Linear\).*1\.a"),
    "heads": (lambda: own(lambda m, x: (m.a(x), m.a(x))), r"a \(Linear\): it takes the input"),
    "two outputs": (lambda: own(lambda m, x: (m.a(x), 1)), "Own: its output"),
    "inner output": (lambda: own(lambda m, x: (h := m.a(x), m.b(h))[0]), r"Own: .*a \(Linear\)"),
    "tanh": (lambda: own(lambda m, x: torch.tanh(m.a(x))), "Own: it calls tanh"),
    "method": (lambda: own(lambda m, x: m.a(x).sigmoid()), "Own: it calls sigmoid"),
    "leaky": (lambda: nn.Sequential(nn.Linear(4, 3), nn.LeakyReLU()), r"1 \(LeakyReLU\)"),
    "gelu": (lambda: own(lambda m, x: functional.gelu(m.a(x))), "Own: it calls gelu"),
    "shift": (lambda: own(lambda m, x: m.a(x) + m.a.bias), "Own: it calls add"),
    "in place": (lambda: own(lambda m, x: ((h := m.a(x)).relu_(), h)[1]), "Own: its output"),
    "dropout": (lambda: own(lambda m, x: functional.dropout(m.a(x))), r"Own: .*eval\(\)"),
    "data": (lambda: nn.Sequential(nn.Linear(4, 3), Loud()), "Sequential: torch.fx cannot trace"),
    "training": (lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)),
                 r"1 \(BatchNorm1d\).*eval\(\)"),
    "statistics": (lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(
        3, track_running_stats=False)).eval(), r"1 \(BatchNorm1d\).*track_running_stats"),
    "transposed": (lambda: own(lambda m, x: m.a(x.t().reshape(-1, 4))), "Own: it calls t"),
    "reshaped": (lambda: own(lambda m, x: m.c(m.a(x).view(-1, 2, 3).relu())),
                 r"c \(Linear\): it takes 6"),
    "random": (lambda: own(lambda m, x: m.a(x) * torch.rand(6)), "Own: it calls mul"),
    "functions alone": (lambda: own(lambda m, x: torch.tanh(x)), "Own: it has no layer with"),
    "transformer": (lambda: nn.TransformerEncoderLayer(4, 2), "TransformerEncoderLayer"),
    "sizes": (lambda: own(lambda m, x: m.a(x)[:, :3].relu()), "Own: it calls getitem"),
    "two inputs": (lambda: nn.Bilinear(4, 4, 2), "Bilinear"),
    "quantised": (lambda: torch.ao.nn.quantized.Linear(4, 2), r"Linear: it is no layer"),
    "script": (lambda: torch.jit.script(nn.Linear(4, 2)), "RecursiveScriptModule"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("make", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_chain_is_refused_with_its_place(make, said):
    with refused(f"model={said}") as caught:
        dtd.DTD(make())
    assert "\n" not in str(caught.value)


def test_samples_are_told_from_sizes():
    """A size is no activation, and an activation may be read by it many times."""
    module = own(lambda m, x: m.a(x.view(x.size(0), x.size(1) * 1)).relu())
    assert dtd.DTD(module).network.widths == (4, 6)
