"""Convolutions and poolings: their matrices, and what is explained, against explicit matrices."""

from __future__ import annotations

import copy
from itertools import product
from math import prod

import pandas as pd
import pytest
import torch
from captum.attr import LRP
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule
from torch import nn

import dtd
from dtd.networks.matrices.averaging import Averaging
from dtd.networks.matrices.convolution import Convolution
from dtd.networks.matrices.matrix import Matrix
from dtd.networks.matrices.windows import Windows
from dtd.networks.network import Layer, Network

KINDS = {
    "plain": (nn.Conv2d(2, 3, 3), (2, 5, 4)),
    "padded": (nn.Conv2d(1, 2, (3, 2), padding=(2, 1)), (1, 4, 5)),
    "strided": (nn.Conv2d(2, 2, 2, stride=(2, 3), padding=1), (2, 5, 6)),
    "dilated": (nn.Conv2d(1, 2, 2, dilation=(2, 1), padding=(1, 0)), (1, 4, 3)),
    "grouped": (nn.Conv2d(4, 6, 2, groups=2), (4, 3, 3)),
    "depthwise": (nn.Conv2d(3, 3, 2, groups=3, stride=2), (3, 4, 4)),
    "one dimension": (nn.Conv1d(2, 3, 3, stride=2, padding=1, dilation=2), (2, 9)),
    "average": (nn.AvgPool2d(2), (2, 4, 6)),
    "overlapping average": (nn.AvgPool2d(3, stride=2, padding=1), (2, 5, 5)),
    "average of a line": (nn.AvgPool1d(2, stride=1), (2, 5)),
}


def matrix_of(module, image):
    """The matrix as the library stores it."""
    many = len(image) - 1

    def each(value):
        return value if isinstance(value, tuple) else (value,) * many

    if isinstance(module, nn.Conv1d | nn.Conv2d):
        form = Convolution(image, module.stride, module.padding, module.dilation, module.groups)
        return Matrix(module.weight.detach().double(), form)
    size = each(module.kernel_size)
    windows = Windows(image[1:], size, each(module.stride), each(module.padding), (1,) * many)
    weight = torch.full((1,), 1 / prod(size), dtype=torch.float64)
    return Matrix(weight, Averaging(image, windows))


def explicit_matrix(module, image):
    """The matrix by what the module makes of every unit vector."""
    unit_vectors = torch.eye(prod(image), dtype=torch.float64).view(-1, *image)
    module = module.double()
    answers = module(unit_vectors) - module(torch.zeros_like(unit_vectors))
    return answers.flatten(1).T.detach()


@pytest.mark.parametrize(("module", "image"), KINDS.values(), ids=KINDS)
def test_a_matrix_is_that_of_the_module(module, image):
    matrix, explicit = matrix_of(module, image), explicit_matrix(module, image)
    assert matrix.shape == explicit.shape
    assert torch.allclose(matrix.dense(), explicit, rtol=1e-14, atol=1e-14)
    explicit = matrix.dense()
    units, size = matrix.shape
    a = torch.randn(7, size, dtype=torch.float64)
    z = torch.randn(7, units, dtype=torch.float64)
    assert torch.allclose(matrix(a), a @ explicit.T, rtol=1e-13, atol=1e-13)
    assert torch.allclose(matrix.transposed(z), z @ explicit, rtol=1e-13, atol=1e-13)
    assert torch.equal(matrix.rows(torch.arange(units)), explicit)
    assert torch.equal(matrix.columns(torch.arange(size)), explicit.T)
    unit, place = torch.cartesian_prod(torch.arange(units), torch.arange(size)).unbind(1)
    assert torch.equal(matrix.entries(unit, place), explicit.flatten())
    assert torch.allclose(matrix.row_sums, explicit.sum(1), atol=1e-14)
    square = matrix.mapped(torch.square)
    assert torch.equal(square.dense(), explicit.square())
    assert torch.equal((matrix * square).dense(), explicit**3)


@pytest.mark.parametrize("kind", ["padded", "strided", "grouped", "one dimension"])
def test_a_mask_is_that_of_weights_of_zero_outside_of_the_windows(kind):
    matrix = matrix_of(*KINDS[kind])
    mask = matrix.masked(lambda weight: 1 + 0.5 * (weight >= 0).to(weight))
    expected = 1 + 0.5 * (matrix.dense() >= 0).double()
    assert torch.equal(mask.dense(), expected)
    assert torch.equal(mask.columns(torch.arange(matrix.shape[1])), expected.T)
    assert torch.equal(mask.values, torch.tensor([1, 1.5], dtype=torch.float64))


def test_a_mask_of_an_average_is_on_its_window_only():
    matrix = matrix_of(*KINDS["average"])
    assert torch.equal(matrix.masked(torch.ones_like).dense(), (matrix.dense() != 0).double())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("kind", KINDS)
def test_a_row_does_not_depend_on_the_rows_beside_it(kind, dtype):
    matrix = matrix_of(*KINDS[kind])
    matrix = Matrix(matrix.numbers.to(dtype), matrix.form)
    a = torch.randn(50, matrix.shape[1], dtype=dtype)
    for rows in (slice(0, 1), slice(3, 20), slice(49, 50)):
        assert torch.equal(matrix(a)[rows], matrix(a[rows]))
        assert torch.equal(matrix.transposed(matrix(a))[rows], matrix.transposed(matrix(a[rows])))


def small_cnn(seed=0, bias="negative"):
    """1x4x4 image, a padded strided convolution, another one, and a dense layer."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    first = Convolution((1, 4, 4), (2, 2), (1, 1), (1, 1))
    second = Convolution((2, 2, 2), (1, 1), (0, 0), (1, 1), groups=2)
    sign = {"negative": -1, "free": 1}[bias]

    def biases(units):
        numbers = 0.2 * draw(units)
        return numbers if bias == "free" else sign * numbers.abs()

    return Network(
        (
            Layer(draw(2, 1, 3, 3), biases(8), form=first),
            Layer(draw(4, 1, 2, 2), biases(4), form=second),
            Layer(draw(2, 4), biases(2), relu=False),
        )
    )


def dense(network):
    return Network(tuple(Layer(l.matrix.dense(), l.bias, l.relu) for l in network.layers))


def frames(result):
    # How long a bisection goes on is a matter of the last digit.
    roots = result.roots_frame().drop(columns="evaluations")
    return result.to_frame(), result.ledger_frame(), roots


def images(n=3, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return 0.1 + torch.rand(n, 1, 4, 4, generator=generator, dtype=torch.float64)


SETTINGS = {
    "z+": {"rule": "z+"},
    "gamma": {"rule": dtd.rules.Gamma(0.3)},
    "x": {"rule": "x"},
    "w2": {"rule": "w2"},
    "zB": {"rule": "z+", "input_rule": "zB", "domain": dtd.Domain.box(0, 2)},
    "zero": {"rule": "zero"},
    "pinv": {"rule": "pinv"},
    "automatic": {"rule": "z+", "forward_passes": False},
    "degree 2": {"rule": "z+", "degree": 2},
    "interactions": {"rule": "gamma", "interactions": True},
    "constant": {"rule": "z+", "root_dependence": "constant"},
    "paths": {"rule": "z+", "estimator": dtd.MonteCarlo(64)},
    "train-free": {"rule": "z+", "method": "train_free"},
    "train-free w2": {"rule": "w2", "method": "train_free"},
    "gradient": {"method": "gradient_x_input"},
    "one root of f": {"method": "simple_taylor", "domain": dtd.Domain.box(0, 2)},
    **{
        f"roots: {name}": {"rule": "z+", "input_roots": roots}
        for name, roots in {
            "line": "line",
            "random": "random",
            "interpolation": "interpolation",
            "metropolis": "metropolis",
            "hit and run": "hit_and_run",
            "polytope": "polytope",
        }.items()
    },
}


FREE = {"degree 2", "interactions", "one root of f", *(n for n in SETTINGS if "roots: " in n)}
"""What takes long; with free biases alone, which limits are taken for too."""


def explained():
    """Settings and biases."""
    for (name, settings), bias in product(SETTINGS.items(), ("negative", "free")):
        long = name in FREE and bias == "negative"
        yield pytest.param(
            settings, bias, id=f"{name}-{bias}", marks=[pytest.mark.exhaustive] * long
        )


@pytest.mark.parametrize(("settings", "bias"), [*explained()])
def test_a_convolution_is_explained_as_its_matrix(settings, bias):
    network = small_cnn(seed=3, bias=bias)
    x = images()
    one = dtd.DTD(network, **settings).explain(x)
    other = dtd.DTD(dense(network), **settings).explain(x.flatten(1))
    assert (one.f > 0).any()
    for mine, theirs in zip(frames(one), frames(other), strict=True):
        pd.testing.assert_frame_equal(mine, theirs, rtol=1e-12, atol=1e-12)


def test_shapes_travel_with_the_layers():
    result = dtd.DTD(small_cnn(seed=3)).explain(images())
    assert result.attribution.shape == (3, 1, 4, 4)
    assert [tuple(r.shape[1:]) for r in result.relevance] == [(1, 4, 4), (2, 2, 2), (4, 1, 1), (2,)]


class Convolutional(nn.Module):
    """Captum knows no rule for nn.Flatten."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2),
            nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(24, 3)

    def forward(self, x):
        return self.head(torch.flatten(self.body(x), 1))


def test_train_free_z_plus_is_captums_lrp():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        module = Convolutional().double().eval()
        # Beside large numbers Captum's stabiliser of 1e-9 is small.
        x = 100 * torch.rand(8, 2, 8, 8, dtype=torch.float64)
    mine = dtd.DTD(module, method="train_free", input_shape=(2, 8, 8)).explain(x, 1)
    # Captum changes weights in place.
    theirs = copy.deepcopy(module)
    for part in [*theirs.body, theirs.head]:
        if not isinstance(part, nn.ReLU):
            part.rule = Alpha1_Beta0_Rule(set_bias_to_zero=True)
    expected = LRP(theirs).attribute(x.clone().requires_grad_(), target=1).detach()
    size = expected.abs().amax()
    torch.testing.assert_close(mine.attribution, expected, rtol=1e-8, atol=1e-8 * float(size))
