"""R_l as a function of the activations of a layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from dtd.errors import OutOfRange
from dtd.explainer.samples import Place, batch_of
from dtd.numerics.gradients import outside_inference
from dtd.relevance.opposite import negative
from dtd.relevance.recursion import Recursion


@dataclass(frozen=True, eq=False)
class RelevanceFunction:
    """R_l at activations of layer ``layer``, (N, d_l) -> (N, d_l), differentiable.

    ``recursions`` are those of f, as 1, and of -f, as -1, which is decomposed where f is below
    zero.
    """

    layer: int
    recursions: Mapping[int, Recursion]
    place: Place

    @outside_inference
    def __call__(self, activations: Tensor) -> Tensor:
        network = self.recursions[1].explained
        width = network.widths[self.layer]
        numbers = batch_of(
            activations, lambda given: given[1:] == (width,), f"(N, {width})", self.place, "a"
        )
        # The check is about the numbers; the graph is that of what was given.
        graph = isinstance(activations, Tensor) and activations.requires_grad
        given = activations.to(numbers) if graph else numbers
        f = network.forward(given.detach(), self.layer)
        answer = torch.zeros_like(given)
        for sign, recursion in self.recursions.items():
            # Without rows there is a graph all the same.
            rows = ((f < 0) == (sign < 0)).nonzero()[:, 0]
            own = recursion.relevance(self.layer, given[rows], graph)
            answer = answer.index_copy(0, rows, own if sign > 0 else negative(own))
        # The derivative of a quotient is silently zero where the divisor's square overflows.
        finite = torch.cat([answer, given.square(), f.square()], 1).isfinite().all(1)
        if not finite.all():
            sample = int((~finite).nonzero()[0])
            what = f"the relevance of layer {self.layer}"
            raise OutOfRange("a", sample, what, str(given.dtype))
        return answer
