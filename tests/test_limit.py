"""The limit of a slope from points on the way to the root, for functions whose limit is known."""

from __future__ import annotations

import pytest
import torch

from cases import tensor
from dtd.numerics.policy import policy
from dtd.relevance.slopes.limit import Stencil, extrapolated

STEPS = policy(torch.float64)


def weights(slope, nearness=STEPS.epsilon, smallest=STEPS.epsilon, dtype=torch.float64):
    """Of one root whose slopes (d,) are a function of the step."""

    def slopes(rows, step):
        return torch.stack([torch.as_tensor(slope(step), dtype=dtype)] * len(rows))

    near = slopes(range(1), nearness)
    return extrapolated(slopes, near, nearness, smallest, policy(dtype))[0]


def limit(slope, **options):
    found = weights(slope, **options)
    assert found.sum().item() == pytest.approx(1, abs=1e-12)
    steps = [2.0 ** -(rung + 1) for rung in range(len(found))]
    return sum(w * tensor(slope(s)) for w, s in zip(found.tolist(), steps, strict=True) if w)


CURVED = {
    "rational": lambda s: [1 / (1 + s), (2 - s) / (3 + s)],
    "pole nearby": lambda s: [1 / (0.01 + s), 1.0],
    "polynomial": lambda s: [s**3 - 2 * s + 5, s**2],
    "cancelling": lambda s: [((3 + s) - 3) / s, ((2 + s) ** 2 - 4) / s],
}


@pytest.mark.parametrize("name", CURVED)
def test_limits_of_curved_slopes(name):
    slope = CURVED[name]
    want = {
        "rational": [1, 2 / 3], "pole nearby": [100, 1], "polynomial": [5, 0], "cancelling": [1, 4]
    }[name]  # fmt: skip
    assert (limit(slope) - tensor(want)).norm() < 1e-11 * tensor(want).norm()


def test_a_constant_is_taken_at_one_point():
    """With the largest step, where rounding is least."""
    found = weights(lambda s: [3.0, -1.0])
    assert found.nonzero().tolist() == [[0]]


def test_a_dead_branch_stays_dead():
    found = weights(lambda s: [0.0, 0.0] if s < 0.1 else [1.0, 2.0])
    assert found.nonzero().tolist() == [[len(found) - 1]]


@pytest.mark.parametrize("kink", [0.4, 0.03, 1e-3, 3e-5])
@pytest.mark.parametrize("jump", [1.0, 1e-4])
def test_nothing_beyond_a_kink_counts(kink, jump):
    """Not even where the other side is as smooth, and almost the same."""

    def slope(s):
        return [1 / (1 + s) + jump * (s > kink), 2.0]

    assert (limit(slope) - tensor([1.0, 2.0])).norm() < 1e-9


def test_steps_that_are_too_small_for_the_limits_inside():
    """Beside a step below 2⁻¹⁷ those inside are not small: such slopes are never asked for."""

    def slope(s):
        assert s >= STEPS.outer_epsilon
        return [1 / (0.01 + s)]

    found = limit(slope, nearness=STEPS.branch_epsilon, smallest=STEPS.outer_epsilon)
    assert found.item() == pytest.approx(100, rel=1e-9)


def test_rounding_grows_towards_the_root():
    noise = torch.Generator().manual_seed(0)

    def slope(s):
        return [1 / (1 + s) + 1e-15 / s * torch.randn((), generator=noise).item()]

    found = weights(slope)
    points = found.nonzero().squeeze(1)
    assert 2.0 ** -(points.max().item() + 1) > 2.0**-14
    assert limit(slope).item() == pytest.approx(1, abs=1e-10)


def test_poles_are_taken_at_the_same_points():
    first, second = (weights(lambda s, c=c: [c / s + 1 / (1 + s)]) for c in (1.0, -30.0))
    assert torch.equal(first, second)
    assert len(first.nonzero()) > 1
    steps = 2.0 ** -torch.arange(1, len(first) + 1, dtype=torch.float64)
    regular = (first * (1 / (1 + steps))).sum().item()
    assert regular == pytest.approx(1, abs=1e-11)


def test_in_single_precision():
    single = policy(torch.float32)
    found = weights(
        lambda s: [1 / (1 + s)],
        nearness=single.epsilon,
        smallest=single.epsilon,
        dtype=torch.float32,
    )
    steps = 2.0 ** -torch.arange(1, len(found) + 1, dtype=torch.float64)
    assert (found / (1 + steps)).sum().item() == pytest.approx(1, abs=1e-4)


def test_roots_do_not_see_each_other():
    slopes = list(CURVED.values())

    def several(rows, step):
        return tensor([slopes[row](step) for row in rows])

    near = several(range(4), STEPS.epsilon)
    together = extrapolated(several, near, STEPS.epsilon, STEPS.epsilon, STEPS)
    for row, slope in enumerate(slopes):
        assert torch.equal(together[row], weights(slope))


def test_points_of_some_roots_are_replaced():
    gates = torch.tensor([[True, False], [False, True], [False, False]])
    whole = Stencil.at_roots(gates, tensor([0.0]))
    some = Stencil.weighted(tensor([[0.0, 1.0], [-1.0, 2.0]]), 2)
    merged = whole.replaced(torch.tensor([2, 0]), some)
    assert merged.row.tolist() == [0, 0, 1, 2]
    assert merged.epsilon.tolist() == [0.5, 0.25, 0, 0.25]
    assert merged.open_gates.tolist() == [[False, False]] * 2 + [[False, True], [False, False]]
    values = tensor([[1.0], [10.0], [5.0], [7.0]])
    assert merged.total(values, 3).tolist() == [[19.0], [5.0], [7.0]]
