"""The gradients of relevance two layers below the output, as a formula.

Where the roots of the output are ``ã = a ⊙ (1 - t m)``, its relevance is shared out as
``R_j(a) = t(a) q_j a_j`` with ``q = w ⊙ m`` and ``t(a) = z(a) / q·a``. So
``∇R_j = q_j (t e_j + a_j (w - t q) / q·a)``, and the gates and weights of the hidden layer lead on
to the layer below it. Between kinks ``z``, ``q·a`` and ``a_j`` are affine. So on a segment this is
the sum of three vectors, each times a number that depends on the position (theory, section 5.4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dtd.networks.layers.layer import AnyLayer
from dtd.networks.network import Network
from dtd.numerics.policy import policy
from dtd.relevance.plan import Plan
from dtd.relevance.series.series import Gradients
from dtd.relevance.slopes.factor_layer import FactorLayer
from dtd.relevance.slopes.kinds import factor_layer


@dataclass(frozen=True, eq=False)
class BelowOutput:
    """The last two layers of a network with one output."""

    hidden: AnyLayer
    output: FactorLayer

    @classmethod
    def of(cls, network: Network, plan: Plan) -> BelowOutput | None:
        """From how the output is decomposed; None where its roots have another form."""
        output = factor_layer(network.layers[-1], plan)
        return cls(network.layers[-2], output) if network.depth > 1 and output else None

    def gradients(self, low: Tensor, high: Tensor, positions: Tensor, unit: Tensor) -> Gradients:
        """``∇R_unit`` at the positions (S,), 0 to 1, of N segments without kinks.

        ``low`` and ``high`` (N, d) are their ends, and units (N,) those of the hidden layer.
        """
        hidden, output, column = self.hidden, self.output, unit.unsqueeze(1)
        middle = (low + high) / 2
        gates = hidden.gates(middle, hidden.preactivation(middle))
        first, last = (hidden.through(gates, end) for end in (low, high))

        def along(of: Callable[[Tensor], Tensor]) -> Tensor:
            return torch.lerp(of(first), of(last), positions)

        a, z = along(lambda a: a.gather(1, column)), along(output.layer.preactivation)
        divisor = along(lambda a: output.divisors(a)[0])
        whole = along(lambda a: output.divisors(a)[1])
        rooted = (z > 0) & (divisor.abs() > policy(z.dtype).degenerate * whole)
        # The divisions are made where they are wanted only: no NaN reaches a gradient.
        inverse = rooted / torch.where(rooted, divisor, 1)
        w, q = (of.transposed(z.new_ones(1, 1), first) for of in (output.layer, output.product))
        own, step = q[0].take(column), z * inverse
        share = own * a * inverse
        one = torch.zeros_like(first).scatter(1, column, 1)
        vectors = torch.stack([w.expand_as(one), q.expand_as(one), one], 1)
        pulled = hidden.pulled(gates.repeat_interleave(3, 0), vectors.flatten(0, 1))
        return Gradients(
            pulled.view(len(unit), 3, low.shape[1]),
            torch.stack([share, -share * step, own * step], 2),
        )
