"""One layer whose relevance carries the factor ``a_i``: directions ``v_ji = a_i mask_ji``.

Closed-form roots are then ``ã_j = a ⊙ (1 - t_j mask_j)``, and all that the recursion needs of
the units of a layer comes from products with the matrices W and ``W ⊙ mask``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from dtd_cli.inputs.domain import Domain
from dtd_cli.networks.mlp import Layer
from dtd_cli.numerics import policy
from dtd_cli.rules.rule import Rule


class Units(NamedTuple):
    """The J units of a layer at N anchors, each (N, J)."""

    z: Tensor
    step: Tensor
    """``t_j``, and 0 for units that have no root or are on their kink."""
    rooted: Tensor
    """Whether the unit has a root; one on its kink counts, with a step of zero."""
    lost: Tensor
    """Whether a unit that is not dead has no direction here, though it has one nearby."""
    coincident: Tensor
    """Whether rounding decides the unit's gate, or its direction vanishes by cancellation."""


@dataclass(frozen=True, eq=False)
class FactorLayer:
    """A layer with a rule that carries the factor (``z+``, ``gamma``, ``x``).

    ``mask`` and ``product``, which is ``W ⊙ mask``, have shape (J, d). ``one_sign`` says that
    neither the products nor the anchors are ever negative.
    """

    layer: Layer
    mask: Tensor
    product: Tensor
    one_sign: bool

    @classmethod
    def of(cls, layer: Layer, rule: Rule, domain: Domain) -> FactorLayer:
        """From a rule with ``carries_factor``, whose direction is one term with the factor a."""
        ((_, mask),) = rule.terms(torch.ones_like(layer.weight[:1]), layer, domain)
        product = layer.weight * mask
        return cls(layer, mask, product, bool((product >= 0).all() and (domain.low >= 0).all()))

    @cached_property
    def weight_size(self) -> Tensor:
        """``Σ_i |w_ji|``, (J,)."""
        return self.layer.weight.abs().sum(1)

    @cached_property
    def product_size(self) -> Tensor:
        """``Σ_i |w_ji mask_ji|``, (J,)."""
        return self.product.abs().sum(1)

    def slack(self, reference: Tensor) -> Tensor:
        """Pre-activations below this are zero up to rounding, (N, J).

        ``reference`` (N,) bounds the activations on the anchors' side, so this is at least the
        threshold of a tie that the policy defines.
        """
        size = reference.unsqueeze(1) * self.weight_size + self.layer.bias.abs()
        return policy(size.dtype).tie * size

    def units(self, a: Tensor, reference: Tensor) -> Units:
        """The units at the points ``a`` (N, d), which have anchors of size ``reference`` (N,)."""
        tolerance = policy(a.dtype)
        z, total = self.layer.preactivation(a), linear(a, self.product)
        size = total if self.one_sign else linear(a.abs(), self.product.abs())
        slack = self.slack(reference)
        faint = tolerance.tie * reference.unsqueeze(1) * self.product_size
        awake = z > -slack
        rooted = awake & (total.abs() > tolerance.degenerate * size)
        step = torch.where(rooted, z.relu(), 0) / torch.where(rooted, total, 1)
        lost = awake & (total.abs() < faint)
        coincident = lost & ((z < slack) | (size >= faint))
        return Units(z, step, rooted, lost, coincident)

    def roots(self, a: Tensor, step: Tensor, unit: Tensor) -> Tensor:
        """The roots (N, d) of one unit for each anchor ``a`` (N, d); step and unit (N,)."""
        return a * (1 - step.unsqueeze(1) * self.mask[unit])
