"""The map of linear regions, against gates on a dense grid and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cases import network, random_network
from dtd.regions.gates import gates, gradient
from dtd.regions.plane import Plane, patches

WINDOW = np.array([[-2.0, -1.0], [2.0, 3.0]])


def area(vertices):
    x, y = vertices.T
    return 0.5 * (x * np.roll(y, -1) - y * np.roll(x, -1)).sum()


def inside(vertices, points):
    """Points strictly inside a convex polygon given counter-clockwise."""
    edges = np.roll(vertices, -1, 0) - vertices
    to = points[:, None] - vertices
    return (edges[:, 0] * to[..., 1] - edges[:, 1] * to[..., 0] > 1e-9).all(1)


def patterns(net, points):
    return torch.cat(gates(net, 0, points), 1)


def test_one_unit_cuts_the_window_in_two():
    net = network([[[1.0, 1.0]]], [[-1.0]])
    left, right = sorted(
        patches(net, 0, Plane(np.zeros(2), (0, 1)), np.array([[0.0, 0.0], [1.0, 1.0]])),
        key=lambda patch: patch.f.max(),
    )
    assert area(left.vertices) == pytest.approx(0.5, abs=1e-15)
    assert left.gradient.tolist() == [0, 0]
    assert right.gradient.tolist() == [1, 1]
    assert sorted(right.f.tolist()) == [0, 0, 1]


@pytest.mark.parametrize("bias", ["negative", "positive", "zero"])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("output_relu", [True, False])
def test_patches_are_the_regions(seed, bias, output_relu):
    net = random_network((2, 7, 5, 2), seed, bias, output_relu)
    found = list(patches(net, 1, Plane(np.zeros(2), (0, 1)), WINDOW))
    assert sum(area(patch.vertices) for patch in found) == pytest.approx(16, rel=1e-12)
    assert all(area(patch.vertices) > 0 for patch in found)
    generator = np.random.default_rng(seed)
    points = generator.uniform(WINDOW[0], WINDOW[1], (4000, 2))
    pattern = patterns(net, torch.tensor(points))
    counted = np.zeros(len(points), dtype=int)
    for patch in found:
        within = inside(patch.vertices, points)
        counted += within
        assert (pattern[within] == pattern[within][:1]).all()
        x = torch.tensor(patch.vertices.mean(0, keepdims=True))
        slope = gradient(net, 0, gates(net, 0, x), 1)[0].numpy()
        np.testing.assert_allclose(patch.gradient, slope, rtol=1e-12, atol=1e-14)
        f = net.forward(torch.tensor(patch.vertices))[:, 1].numpy()
        np.testing.assert_allclose(patch.f, f, rtol=1e-9, atol=1e-12)
    # All but points on an edge lie in exactly one.
    assert (counted <= 1).all()
    assert (counted == 1).mean() > 0.999
    seen = {tuple(row) for row in pattern.tolist()}
    assert len(found) >= len(seen)


def test_a_slice_through_a_point_of_a_larger_space():
    net = random_network((4, 6, 3), 3)
    point = np.array([0.3, 9.0, 0.7, 9.0])
    found = list(patches(net, 0, Plane(point, (3, 1)), WINDOW))
    assert len(found) > 3
    for patch in found:
        u, v = patch.vertices.mean(0)
        x = torch.tensor([[0.3, v, 0.7, u]], dtype=torch.float64)
        value = net.forward(x)[0, 0].item()
        assert value == pytest.approx(patch.f.mean(), rel=1e-12, abs=1e-13)
        slope = gradient(net, 0, gates(net, 0, x))[0]
        np.testing.assert_allclose(patch.gradient, slope[[3, 1]], rtol=1e-12, atol=1e-14)


def test_a_line_through_a_corner_leaves_no_sliver():
    net = network([[[1.0, -1.0], [2.0, -2.0], [1.0, -1.0]]], [[0.0, 0.0, 1e-17]])
    found = list(patches(net, 0, Plane(np.zeros(2), (0, 1)), np.array([[0.0, 0.0], [1.0, 1.0]])))
    assert len(found) == 2
