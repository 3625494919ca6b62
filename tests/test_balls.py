"""Arrays of balls: arithmetic and gradients beside torch's, and errors that are really bounds."""

from __future__ import annotations

import flint
import numpy as np
import pytest
import torch
from flint import arb
from torch import nn

import dtd
from dtd.networks.network import Layer
from dtd.numerics.ball_matrix import DenseBallMatrix, ball_matrix
from dtd.numerics.ball_operation import apply, evaluate, rounded
from dtd.numerics.balls import Balls, digits, exact, gradient, matrix
from dtd.rules.formula import ToCommonZero, ToEmptyWindow, ToKink

torch.manual_seed(0)
A = torch.rand(4, 3, dtype=torch.float64) + 0.5
W = torch.randn(5, 3, dtype=torch.float64)
INDEX = np.array([2, 0, 0, 3, 1])
COLUMN = np.array([1, 4, 0, 2, 2])


def program(inputs):
    """A bit of everything."""
    (a,) = inputs
    z = a.times(ball_matrix(W)).shifted(exact(W[:, 0]))
    some = a.rows(INDEX) * a.rows(INDEX).square()
    divisor = some.scaled(exact(W)).row_sums()
    t = z.rows(INDEX).entries(COLUMN) * divisor.reciprocal()
    spread = some * t.repeated(3) - some.scaled(arb(1) / 3)
    return [spread.summed(INDEX, 4), -t]


def same(a):
    """The same in torch."""
    z = a @ W.T + W[:, 0]
    index, column = torch.from_numpy(INDEX), torch.from_numpy(COLUMN)
    some = a[index] ** 3
    t = z[index].gather(1, column[:, None])[:, 0] / (some * W).sum(1)
    return torch.zeros(4, 3, dtype=a.dtype).index_add(0, index, some * t[:, None] - some / 3), -t


def test_values():
    for got, want in zip(evaluate(program, [A], (40,)).outputs, same(A), strict=True):
        assert torch.allclose(rounded(got, A), want, rtol=1e-13, atol=0)


def test_gradients_of_any_order():
    a, b = A.clone().requires_grad_(), A.clone().requires_grad_()
    got, want = apply(program, [a], (40,))[0], same(b)[0]
    for _ in range(3):
        assert torch.allclose(got, want, rtol=1e-10)
        (got,) = torch.autograd.grad(got.pow(2).sum(), a, create_graph=True)
        (want,) = torch.autograd.grad(want.pow(2).sum(), b, create_graph=True)


def test_a_gradient_stops_at_its_array():
    """Nothing is sent past it: what it was made of is a constant for it."""
    with digits(30):
        a = Balls.exact(A)
        b = a * a
        c = (b * a).row_sums()
        got = rounded(gradient(c, b).value, A)
        none = gradient(c, Balls.exact(A))
    assert torch.allclose(got, A, rtol=1e-15)
    assert all(ball.is_zero() for ball in none.value.ravel())


def test_radii_are_bounds():
    """1 / 3 with 20 digits, a thousand times in a row, beside 200 digits."""

    def chain(inputs):
        x = inputs[0]
        for _ in range(1000):
            x = (x * x).shifted(np.array([arb(1) / 3], dtype=object)).scaled(arb(1) / 2)
        return [x]

    start = torch.tensor([[1 / 3]], dtype=torch.float64)
    with digits(20):
        few = chain([Balls.exact(start)])[0].value[0, 0]
    with digits(200):
        many = chain([Balls.exact(start)])[0].value[0, 0]
        assert many.rad() < few.rad()
        assert few.contains(many)


@pytest.mark.parametrize("lost", [10, 100, 1000])
def test_digits_that_cancel_are_found(lost):
    """(1 + 10⁻ⁿ) - 1 needs n digits more than a double has."""

    def cancelled(inputs):
        tiny = 1 / arb(10) ** lost
        one = np.array([arb(1)], dtype=object)
        return [inputs[0].scaled(tiny).shifted(one).shifted(-one).scaled(1 / tiny)]

    got = rounded(evaluate(cancelled, [A], (60,)).outputs[0], A)
    assert torch.equal(got, A)


def test_what_may_be_anything_is_not_a_number():
    with digits(30):
        zero = arb(1) / 3 - arb(1) / 3
        numbers = np.array([arb(2), zero, 1 / zero, arb.nan()], dtype=object)
        got = rounded(numbers, A)
    assert got[:2].tolist() == [2, 0]
    assert got[2:].isnan().all()


def test_a_sign_is_known_or_asked_for_again():
    """x + 10⁷⁰ / 3 - 10⁷⁰ / 3 has the sign of x, which 60 digits do not say, and 120 do."""
    asked = []

    def signs(inputs):
        asked.append(flint.ctx.dps)
        large = np.array([arb(10) ** 70 / 3], dtype=object)
        x = inputs[0].shifted(large).shifted(-large)
        return [x.scaled(x.positive.astype(int).astype(object))]

    x = torch.tensor([[1.0, -1e-3, 1e-9]], dtype=torch.float64)
    (got,) = evaluate(signs, [x], (60,)).outputs
    assert rounded(got, x).tolist() == [[1.0, 0.0, 1e-9]]
    assert asked == [60, 120]


def test_no_rows():
    for got in evaluate(lambda inputs: [inputs[0].times(ball_matrix(W))], [A[:0]], (30,)).outputs:
        assert got.shape == (0, 5)


@pytest.mark.parametrize(
    "weight",
    [
        [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]],
        [[1.0, 2.0], [0.0, 1.0], [3.0, -1.0]],
        [[1.0, 2.0, 0.5]],
        [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]],
    ],
)
def test_pseudo_inverse_of_any_rank(weight):
    """The way to the common zero beside torch's pseudo-inverse."""
    layer = Layer(
        torch.tensor(weight, dtype=torch.float64),
        torch.arange(len(weight), dtype=torch.float64) + 0.5,
    )
    a = torch.tensor([[0.3, 0.7, 0.2]], dtype=torch.float64)[:, : layer.weight.shape[1]]
    formula = ToCommonZero.of(layer.balls, layer.weight)
    with digits(50):
        anchors = Balls.exact(a)
        z = layer.balls.preactivation(anchors).entries(np.array([0]))
        kept, delta = formula.deltas(anchors, z, np.array([0]))
        got = rounded(delta.value, a)
    assert kept.tolist() == [0]
    want = layer.preactivation(a) @ torch.linalg.pinv(layer.weight).T
    assert torch.allclose(got, want, rtol=1e-13, atol=1e-15)


def test_a_rank_that_rounding_decides_is_no_formula():
    weight = torch.tensor([[0.1, 0.7], [0.3, 2.1]], dtype=torch.float64)
    assert ToCommonZero.of(Layer(weight, torch.zeros(2, dtype=torch.float64)).balls, weight) is None


def kernels(sizes, stride):
    """The matrix of a one-dimensional convolution: equal rows at shifted places, and zeros."""
    rows = (sizes - 3) // stride + 1
    whole = torch.zeros(rows, sizes, dtype=torch.float64)
    for row in range(rows):
        whole[row, row * stride : row * stride + 3] = torch.tensor([0.3, -0.7, 0.2])
    return whole


def cross():
    """The first row and column have all entries, and so has the block that all rows share."""
    whole = torch.eye(40, dtype=torch.float64)
    whole[0] = whole[:, 0] = 1.2
    return whole


def pruned():
    """Every row has its entries elsewhere."""
    whole = torch.rand(40, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return whole * (whole < 0.2)


@pytest.mark.parametrize("weight", [cross(), pruned()], ids=["cross", "pruned"])
def test_zeros_stay_where_leaving_them_out_takes_longer(weight):
    assert (weight != 0).double().mean() < 1 / 4
    assert isinstance(ball_matrix(weight), DenseBallMatrix)
    assert isinstance(ball_matrix(weight.T), DenseBallMatrix)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
def test_products_with_kernels(stride, transposed):
    """What is zero is left out, and what may be zero is not: its radius stays."""
    weight = kernels(33, stride)
    sparse, dense = ball_matrix(weight), DenseBallMatrix(matrix(exact(weight.T)))
    assert not isinstance(sparse, DenseBallMatrix)
    if transposed:
        sparse, dense = sparse.transposed, dense.transposed
        weight = weight.T
    rows = torch.rand(3, weight.shape[1], dtype=torch.float64)
    rows[0] = 0
    rows[1, 1:] = 0
    v = exact(rows)
    v[0, 3] = arb(0, 1e-9)
    with digits(40):
        got, want = sparse.product(v), dense.product(v)
    assert all(one.overlaps(other) for one, other in zip(got.flat, want.flat, strict=True))
    assert rounded(got, rows).tolist() == rounded(want, rows).tolist()
    assert [ball.rad() > 1e-11 for ball in got[0]] == (weight[:, 3] != 0).tolist()


@pytest.mark.parametrize(
    ("balls", "accurate"),
    [
        ([arb(1, 2.0**-70), arb(0)], True),
        ([arb(1, 2.0**-60), arb(0)], False),
        # Beside the largest entry of its row, a small one may be off.
        ([arb(1), arb(0, 2.0**-70)], True),
        ([arb(1), arb(0, 2.0**-60)], False),
        ([arb(0, 1e-40), arb(0, 1e-41)], True),
        ([arb(0, 1e-20), arb(0)], False),
        ([arb(1), arb("nan")], False),
    ],
)
def test_when_outputs_are_accurate(balls, accurate):
    """To 64 bits of a row's largest entry, or to a third of the digits where all may be zero."""
    asked, good = [], [arb(1), arb(1)]

    def program(inputs):
        asked.append(flint.ctx.dps)
        first = len(asked) == 1
        return [Balls(np.array([good, balls if first else good], dtype=object))]

    evaluate(program, [torch.ones(1, 1, dtype=torch.float64)], (90,))
    assert asked == ([90] if accurate else [90, 180])


def test_what_is_exactly_zero_is_accurate():
    """Also where all inputs are zero, beside which nothing is small."""
    asked = []

    def program(inputs):
        asked.append(flint.ctx.dps)
        return inputs

    zeros = torch.zeros(1, 2, dtype=torch.float64)
    (got,) = evaluate(program, [zeros], (90,)).outputs
    assert asked == [90]
    assert torch.equal(rounded(got, zeros), zeros)


@pytest.mark.parametrize("number", ["0", "1e-300", "-3", "[0 +/- 1]", "[1 +/- 1e-9]", "nan", "inf"])
def test_rounded_numbers(number):
    """The midpoint, zero where that may be, and NaN for what may be anything."""
    ball, like = arb(number), torch.zeros(1, dtype=torch.float64)
    got = float(rounded(np.array([ball], dtype=object), like))
    if ball.is_finite():
        assert got == (0.0 if 0 in ball else float(ball))
    else:
        assert np.isnan(got)


@pytest.mark.parametrize(("pooling", "constant"), [(nn.AvgPool1d(3), 0.7), (nn.MaxPool1d(3), 1.0)])
def test_windows_go_to_zero_at_one_step(pooling, constant):
    """In all digits of the context, at the step that leads other units to their kinks."""
    model = nn.Sequential(
        nn.Conv1d(1, 2, 3, bias=False),
        nn.ReLU(),
        pooling,
        nn.Flatten(),
        nn.Linear(4, 1, bias=False),
    )
    layer = dtd.DTD(model.double(), input_shape=(1, 8)).network.layers[1]

    def mask(weight):
        return 0.7 * (weight > 0).to(weight)

    assert layer.constant_mask(mask) == constant
    formula = ToEmptyWindow(layer.balls, layer.mask(mask), constant=constant)
    other, unit = ToKink(layer.balls, layer.mask(mask)), np.arange(4)
    with digits(60):
        anchors = Balls.exact(torch.rand(4, 12, dtype=torch.float64) + 0.1)
        z = layer.balls.preactivation(anchors).entries(unit)
        for name in ("steps", "deltas"):
            (kept, got), (every, want) = (
                getattr(each, name)(anchors, z, unit) for each in (formula, other)
            )
            assert kept.tolist() == every.tolist() == unit.tolist()
            pairs = zip(got.value.flat, want.value.flat, strict=True)
            assert all(abs(one - two) < 1e-55 for one, two in pairs)
        # Roots move with their anchors alike.
        slopes = [gradient(each.deltas(anchors, z, unit)[1], anchors) for each in (formula, other)]
        pairs = zip(*(slope.value.flat for slope in slopes), strict=True)
        assert all(abs(one - two) < 1e-50 for one, two in pairs)
