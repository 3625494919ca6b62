"""Modules for images: convolutions, poolings and normalisation, as ``torch`` computes them."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import dtd
from test_library import refused
from test_reading import Own


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        yield


def normalisation(kind, channels):
    """Statistics and weights that are not those of a new module."""
    made = kind(channels)
    for tensor in (made.running_mean, made.weight, made.bias):
        nn.init.normal_(tensor)
    nn.init.uniform_(made.running_var, 0.1, 3)
    return made


def head(inputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 3))


def of_functions(m, x):
    h = functional.max_pool2d(functional.relu(m.a(x)), 2)
    h = functional.conv2d(h, m.b.weight, m.b.bias, padding=1)
    h = functional.adaptive_avg_pool2d(functional.relu(h), 1)
    return m.c(torch.flatten(h, 1))


def of_methods(m, x):
    h = functional.avg_pool2d(m.b(m.a(x).relu()).relu(), kernel_size=2, stride=1)
    return m.c(h.mean([2, 3]))


def own(way):
    a, b, c = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 6, 3), nn.Linear(6, 3)
    return Own(way, a=a, b=b, c=c)


IMAGE = (1, 9, 8)
MODULES = {
    "lenet": (lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(4, 6, 2), nn.ReLU(),
        nn.AvgPool2d(2), nn.Dropout2d(), head(6)),
        [(1, 9, 8), (4, 7, 6), (4, 3, 3), (6, 2, 2), (6, 1, 1), (3,)]),
    "maximum before its ReLU": (lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), nn.ReLU(), head(36)),
        [(1, 9, 8), (4, 7, 6), (4, 3, 3), (3,)]),
    "normalised": (lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False), normalisation(nn.BatchNorm2d, 4), nn.ReLU(),
        nn.Conv2d(4, 2, 3), nn.ReLU(), head(84)), [(1, 9, 8), (4, 9, 8), (2, 7, 6), (3,)]),
    "normalised before padding": (lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), normalisation(nn.BatchNorm2d, 4),
        nn.Conv2d(4, 2, 3, padding=2, groups=2), nn.ReLU(), head(144)),
        [(1, 9, 8), (4, 7, 6), (2, 9, 8), (3,)]),
    "normalised inputs": (lambda: nn.Sequential(
        normalisation(nn.BatchNorm2d, 1), nn.Conv2d(1, 2, 3, stride=2, dilation=2), nn.ReLU(),
        head(12)), [(1, 9, 8), (2, 3, 2), (3,)]),
    "normalised behind an average": (lambda: nn.Sequential(
        nn.Conv2d(1, 2, 2), nn.ReLU(), nn.AvgPool2d(2), normalisation(nn.BatchNorm2d, 2),
        head(24)), [(1, 9, 8), (2, 8, 7), (2, 4, 3), (3,)]),
    "an average of no ReLU": (lambda: nn.Sequential(
        nn.Conv2d(1, 2, 2), nn.AvgPool2d(2), nn.ReLU(), head(24)), [(1, 9, 8), (2, 4, 3), (3,)]),
    "two convolutions": (lambda: nn.Sequential(
        nn.Conv2d(1, 2, 2), nn.Conv2d(2, 3, 3), nn.ReLU(), head(90)), [(1, 9, 8), (3, 6, 5), (3,)]),
    "same padding": (lambda: nn.Sequential(
        nn.Conv2d(1, 2, 3, padding="same"), nn.ReLU(), head(144)), [(1, 9, 8), (2, 9, 8), (3,)]),
    "overlapping windows": (lambda: nn.Sequential(
        nn.Conv2d(1, 2, 2), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1), nn.AvgPool2d(3, 1, 1),
        head(32)), [(1, 9, 8), (2, 8, 7), (2, 4, 4), (2, 4, 4), (3,)]),
    "functions": (lambda: own(of_functions),
                  [(1, 9, 8), (4, 7, 6), (4, 3, 3), (6, 3, 3), (6, 1, 1), (3,)]),
    "methods": (lambda: own(of_methods),
                [(1, 9, 8), (4, 7, 6), (6, 5, 4), (6, 4, 3), (6, 1, 1), (3,)]),
    "unflattened": (lambda: nn.Sequential(
        nn.Flatten(), nn.Unflatten(1, (1, 9, 8)), nn.Conv2d(1, 2, 2), nn.ReLU(), head(112)),
        [(1, 9, 8), (2, 8, 7), (3,)]),
    "convolutional to the end": (lambda: nn.Sequential(
        nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Conv2d(2, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        [(1, 9, 8), (2, 8, 7), (3, 1, 1)]),
}  # fmt: skip


@pytest.mark.parametrize(("make", "shapes"), MODULES.values(), ids=MODULES)
def test_a_module_is_read_as_torch_computes_it(make, shapes):
    module = make().eval()
    explainer = dtd.DTD(module, method="train_free", input_shape=IMAGE)
    assert list(explainer.network.shapes) == shapes
    x = torch.randn(5, *IMAGE, dtype=torch.float64)
    expected = module.double()(x).detach()
    size = float(expected.abs().max())
    got = explainer.network.forward(x.flatten(1))
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6 * size)
    assert explainer.explain(x.float()).attribution.shape == x.shape


@pytest.mark.parametrize("length", [11, 12])
def test_a_module_for_lines(length):
    module = nn.Sequential(
        nn.Conv1d(2, 4, 3, padding=1), normalisation(nn.BatchNorm1d, 4), nn.ReLU(),
        nn.MaxPool1d(2), nn.Conv1d(4, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool1d(1), head(3),
    ).eval()  # fmt: skip
    explainer = dtd.DTD(module, method="train_free", input_shape=(2, length))
    x = torch.randn(5, 2, length)
    got = explainer.network.forward(x.double().flatten(1))
    torch.testing.assert_close(got, module.double()(x.double()), rtol=1e-6, atol=1e-6)


def test_weights_tell_the_shape_where_one_square_fits():
    module = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), head(50))
    assert dtd.DTD(module, method="train_free").network.shapes[0] == (3, 7, 7)
    with refused(
        r"model=Sequential: .*1 x 14 x 14 and of 1 x 15 x 15; give .*input_shape=.*, or let .*"
        "Unflatten"
    ):
        dtd.DTD(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), head(72)))


def pooled(pool):
    return nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), pool, nn.Flatten(), nn.LazyLinear(3))


REFUSED = {
    "residual": (own(lambda m, x: (h := m.a(x).relu()) + m.b(h)), "Own: it calls add"),
    "negative maximum": (nn.Sequential(nn.Conv2d(1, 2, 2), nn.MaxPool2d(2), head(24)),
                         r"2\.1 \(Linear\): .*may be negative"),
    "maximum of the inputs": (nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(1, 2, 2), head(18)),
                              r"0 \(MaxPool2d\): .*may be negative"),
    "reflecting": (nn.Sequential(nn.Conv2d(1, 2, 2, padding=1, padding_mode="reflect")),
                   r"0 \(Conv2d\): it pads with reflect"),
    "rounded up": (nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True),
                                 head(32)), r"2 \(MaxPool2d\): .*ceil_mode"),
    "border": (nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(),
                             nn.AvgPool2d(2, padding=1, count_include_pad=False), head(40)),
               r"2 \(AvgPool2d\): .*count_include_pad"),
    "adaptive": (nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(5), head(50)),
                 r"2 \(AdaptiveAvgPool2d\): .*different sizes"),
    "training": (nn.Sequential(nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), nn.ReLU(), head(112)),
                 r"1 \(BatchNorm2d\): .*eval\(\)"),
    "channels last": (own(lambda m, x: m.a(x.permute(0, 3, 1, 2))), "Own: it calls permute"),
    "leaky": (nn.Sequential(nn.Conv2d(1, 2, 2), nn.LeakyReLU(), head(112)), r"1 \(LeakyReLU\)"),
    "three dimensions": (nn.Sequential(nn.Conv3d(1, 2, 2)), r"0 \(Conv3d\)"),
    "transposed": (nn.Sequential(nn.ConvTranspose2d(1, 2, 2)), r"0 \(ConvTranspose2d\)"),
}  # fmt: skip


@pytest.mark.parametrize(("module", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_such_chain_is_refused_with_its_place(module, said):
    with refused(f"model={said}") as caught:
        dtd.DTD(module, method="train_free", input_shape=IMAGE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(5, 8, 9), (5, 9, 8, 1), (5, 1, 8, 9), (1, 9, 8), (5, 71)])
def test_images_of_another_shape_are_refused(shape):
    explainer = dtd.DTD(MODULES["lenet"][0]().eval(), method="train_free", input_shape=IMAGE)
    with refused(r"x=shape .*allowed is \(B, 1, 9, 8\) or \(B, 72\)"):
        explainer.explain(torch.zeros(shape))


@pytest.mark.parametrize("value", [(9, 8), (1, 8, 9.5), "1x9x8", (1, 0, 3)])
def test_a_shape_that_is_none_is_refused(value):
    with refused("(input_shape|model)="):
        dtd.DTD(MODULES["lenet"][0]().eval(), method="train_free", input_shape=value)


@pytest.mark.parametrize("value", [(3, 9, 8), (9, 8, 1)])
def test_images_with_other_channels_are_refused(value):
    said = r".*Conv2d.*channels come first; allowed are images with 1"
    with refused(f"model={said}"):
        dtd.DTD(MODULES["lenet"][0]().eval(), method="train_free", input_shape=value)


def test_the_module_is_compared_on_the_samples_that_are_explained():
    module = nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), head(112)).eval()
    explainer = dtd.DTD(module, method="train_free", input_shape=IMAGE)
    object.__setattr__(explainer._reading, "answer", lambda x: torch.ones(len(x), 3))
    with refused("model=Sequential: on these samples"):
        explainer.explain(torch.rand(2, *IMAGE))
