"""Max pooling: a layer whose units are the largest of some inputs, and whose gates are winners."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import ClassVar

import torch
from torch import Tensor

from dtd.errors import InvalidSetting
from dtd.networks.layers.affine import Layer
from dtd.networks.layers.balls import MaximumBalls
from dtd.networks.layers.layer import AnyLayer, Mask
from dtd.networks.matrices.averaging import Averaging
from dtd.networks.matrices.matrix import Matrix
from dtd.networks.matrices.windows import Shape
from dtd.numerics.policy import policy, safe_divide


@dataclass(frozen=True, eq=False)
class Winners:
    """The matrix of a maximum at the anchors: a row has 1 at the winner.

    Where k inputs of a window win together each has 1/k, but for one input that is asked about
    alone: it rises at the root of its unit, so that there it wins. ``function`` is applied to the
    entries.
    """

    layer: Maximum
    function: Mask = torch.clone

    def __call__(self, a: Tensor) -> Tensor:
        return self.layer.preactivation(a)

    def transposed(self, z: Tensor, a: Tensor) -> Tensor:
        return self.layer.spread(z.unsqueeze(2) * self._shares(a))

    def columns(self, place: Tensor, a: Tensor) -> Tensor:
        wins = a.gather(1, place.unsqueeze(1)) >= self.layer.preactivation(a)
        covered = self.layer.mask(torch.ones_like).columns(place) != 0
        return self.function((wins & covered).to(a))

    def entries(self, unit: Tensor, place: Tensor, a: Tensor) -> Tensor:
        values, own = self.layer.window_values(a, unit), a.gather(1, place.unsqueeze(1))
        covered = (self.layer.places[unit] == place.unsqueeze(1)).any(1)
        return self.function((covered & (own >= values).all(1)).to(a))

    def mapped(self, function: Mask) -> Winners:
        return replace(self, function=lambda entries: function(self.function(entries)))

    @property
    def sizes(self) -> Winners:
        return self.mapped(torch.abs)

    @property
    def together(self) -> Winners:
        return self

    def _shares(self, a: Tensor) -> Tensor:
        """(N, J, K)."""
        return self.function(_equal_shares(self.layer.values(a)))


@dataclass(frozen=True, eq=False)
class Maximum(AnyLayer):
    """``z_j = max a_i`` over the inputs i of the window j of one channel; activations are >= 0.

    A rule's direction is a in the window, so the root is the window at zero. On the segment from
    there to the anchor every input is a multiple of itself, and the anchor's winner wins all the
    way. Gates (N, J, K) say which of the K inputs of each window win.

    ``one`` is the number 1 (1,), in the dtype and on the device of the layer.
    """

    is_affine: ClassVar[bool] = False

    form: Averaging
    one: Tensor

    @property
    def relu(self) -> bool:
        return False

    @property
    def kind(self) -> str:
        return "maximum"

    @property
    def learns(self) -> bool:
        return False

    @property
    def inputs(self) -> Shape:
        return self.form.image

    @property
    def outputs(self) -> Shape:
        return self.form.outputs(self.one)

    @cached_property
    def places(self) -> Tensor:
        """The inputs in the windows, (J, K); where that is padding, d."""
        units = torch.arange(self.units, device=self.device)
        windows, image = self.form.windows, prod(self.form.windows.image)
        channel, window = units // prod(windows.output), units % prod(windows.output)
        within = windows.places(window)
        return torch.where(within < 0, self.size, channel.unsqueeze(1) * image + within)

    def values(self, a: Tensor) -> Tensor:
        """The inputs in each window, (N, J, K); padding is below all of them."""
        return _padded(a)[:, self.places]

    def window_values(self, a: Tensor, unit: Tensor) -> Tensor:
        """The inputs (N, K) in the windows of units (N,)."""
        return _padded(a).gather(1, self.places[unit])

    def spread(self, values: Tensor) -> Tensor:
        """What the places of windows have (N, J, K), added up over the windows, (N, d)."""
        sums = values.new_zeros(len(values), self.size + 1)
        return sums.index_add(1, self.places.flatten(), values.flatten(1))[:, : self.size]

    @property
    def parameters(self) -> dict[str, Tensor]:
        return {}

    def with_parameters(self, parameters: dict[str, Tensor]) -> Maximum:
        return self

    def preactivation(self, a: Tensor) -> Tensor:
        flat = a.reshape(-1, a.shape[-1])
        return self.values(flat).amax(2).view(*a.shape[:-1], self.units)

    def of_units(self, units: Tensor, a: Tensor) -> Tensor:
        values = _padded(a)[
            torch.arange(len(a), device=a.device)[:, None, None], self.places[units]
        ]
        return values.amax(2)

    def competitors(self, place: Tensor) -> Tensor:
        window = self._window[place].unsqueeze(1)
        inside = self.places[self._window[place]]
        return torch.where((window < 0) | (inside == self.size), place.unsqueeze(1), inside)

    @cached_property
    def _window(self) -> Tensor:
        """The window of each input (d,), of several one; -1 where there is none."""
        window = self.places.new_full((self.size + 1,), -1)
        units = torch.arange(self.units, device=self.device).repeat_interleave(self.places.shape[1])
        return window.scatter(0, self.places.flatten(), units)[: self.size]

    def magnitude(self, a: Tensor) -> Tensor:
        return self.preactivation(a.abs())

    def mask(self, mask: Mask) -> Matrix:
        return Matrix(self.one, self.form)

    def product(self, mask: Mask) -> Winners:
        return Winners(self)

    def constant_mask(self, mask: Mask) -> float:
        return 1.0

    @property
    def positive_part(self) -> Winners:
        return Winners(self)

    def activations_together(self, a: Tensor) -> Tensor:
        return self(a)

    def rows(self, unit: Tensor, a: Tensor) -> Tensor:
        rows = a.new_zeros(len(a), self.size + 1)
        shares = _equal_shares(self.window_values(a, unit))
        return rows.scatter_add(1, self.places[unit], shares)[:, : self.size]

    def transposed(self, upper: Tensor, a: Tensor) -> Tensor:
        return Winners(self).transposed(upper, a)

    def product_balls(self, mask: Mask) -> MaximumBalls:
        return self.balls

    @cached_property
    def balls(self) -> MaximumBalls:
        return MaximumBalls(self.places.cpu().numpy(), self.size)

    @property
    def largest(self) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(self.one[0]), self.one[0]

    def gates(self, a: Tensor, z: Tensor) -> Tensor:
        return self.values(a) == z.unsqueeze(2)

    def closed_gates(self, a: Tensor, z: Tensor, gates: Tensor, size: Tensor) -> Tensor:
        values, highest = self.values(a), z.unsqueeze(2)
        slack = policy(a.dtype).tie * size.unsqueeze(2)
        lowest_winner = torch.where(gates, values, torch.inf).amin(2, keepdim=True)
        return torch.where(lowest_winner >= highest - slack, gates, values == highest)

    def gates_towards(self, a: Tensor, slope: Tensor, size: Tensor) -> Tensor:
        values, rises = self.values(a), self.values(slope)
        slack = policy(a.dtype).tie * self.magnitude(size).unsqueeze(2)
        rises = torch.where(values >= values.amax(2, keepdim=True) - slack, rises, -torch.inf)
        return rises == rises.amax(2, keepdim=True)

    def through(self, gates: Tensor, a: Tensor) -> Tensor:
        return _mean(gates, self.values(a))

    def slope_through(self, gates: Tensor, slope: Tensor) -> Tensor:
        return _mean(gates, self.values(slope))

    def pulled(self, gates: Tensor, upper: Tensor) -> Tensor:
        return self.spread(safe_divide(gates * upper.unsqueeze(2), gates.sum(2, keepdim=True)))

    def held_open(self, units: Tensor, anchors: Tensor) -> Tensor:
        return (units.unsqueeze(2) & self.gates(anchors, self.preactivation(anchors))).flatten(1)

    def opened(self, a: Tensor, gates: Tensor) -> Tensor:
        values, held = self.values(a), gates.view(len(gates), *self.places.shape)
        return torch.where(held.any(2), _mean(held, values), values.amax(2))

    def with_relu(self, relu: bool) -> Maximum:
        return self

    def only(self, unit: int) -> Layer:
        raise InvalidSetting("model", "max pooling", "allowed as the last layer is an affine map")

    @property
    def dtype(self) -> torch.dtype:
        return self.one.dtype

    @property
    def device(self) -> torch.device:
        return self.one.device

    @property
    def is_finite(self) -> bool:
        return True

    def to(self, dtype: torch.dtype, device: torch.device | None = None) -> Maximum:
        return replace(self, one=self.one.to(device, dtype, copy=True))


def _padded(a: Tensor) -> Tensor:
    return torch.cat([a, torch.full_like(a[:, :1], -torch.inf)], 1)


def _equal_shares(values: Tensor) -> Tensor:
    """Of windows (..., K) one for the largest value, in equal parts where several are largest."""
    wins = (values == values.amax(-1, keepdim=True)).to(values)
    return wins / wins.sum(-1, keepdim=True)


def _mean(gates: Tensor, values: Tensor) -> Tensor:
    """The mean of the values (N, J, K) whose gates are open, 0 where none is."""
    total = torch.where(gates, values, 0).sum(2)
    return safe_divide(total, gates.sum(2).to(total))
