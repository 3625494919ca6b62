"""The samples of a batch that are explained together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from dtd.errors import OutOfRange
from dtd.explainer.output import Output
from dtd.relevance import Explanation


@dataclass(frozen=True, eq=False)
class Explained:
    """One method's explanation of the samples whose explained output is the same.

    ``samples`` (n,) are their rows in the batch, ``path`` their activations in all layers of the
    network, with all its outputs. The relevances have the sign of f.
    ``roots`` is the name of a further search that stands beside the method's own, else empty.

    Raises:
        OutOfRange: on the way a number left the range of the dtype.
    """

    method: str
    output: Output
    samples: Tensor
    path: Sequence[Tensor]
    explanation: Explanation
    roots: str = ""

    def __post_init__(self) -> None:
        named = list(self._numbers())
        # All at once, because nearly always all are finite.
        if torch.cat([numbers.flatten(1) for _, numbers in named], 1).isfinite().all():
            return
        for what, numbers in named:
            finite = numbers.isfinite().flatten(1).all(1)
            if not finite.all():
                sample = int(self.samples[int((~finite).nonzero()[0])])
                raise OutOfRange("x", sample, what, str(numbers.dtype))

    def _numbers(self) -> Iterator[tuple[str, Tensor]]:
        """All numbers (n, ...) that have to be finite, and what they are."""
        explanation, errors = self.explanation, self.explanation.errors
        for kind in (explanation.relevances, explanation.terms, explanation.interactions):
            yield from ((f"the relevance of layer {layer}", kind[layer]) for layer in kind)
        for layer, ledger in explanation.ledgers.items():
            columns = [getattr(ledger, field.name) for field in fields(ledger)]
            yield f"the ledger of layer {layer}", torch.stack(columns, 1)
        for layer, values in enumerate(() if errors is None else errors.relevances):
            # NaN is what is said of a unit that no path has met.
            yield f"the standard error of layer {layer}", values.nan_to_num(0, math.inf)
        for layer, searches in explanation.evidence.items():
            for roots in searches:
                # NaN is what is said of a unit without a root. A slope without a limit is infinite.
                slope = torch.where(roots.limit_error.isinf(), 0, roots.gradient_norm)
                measured = (roots.distance, slope, roots.output_change)
                yield f"a root in layer {layer}", torch.stack(measured, 1).nan_to_num(0, math.inf)


def check_squares(path: Sequence[Tensor], samples: Tensor) -> None:
    """Refuse activations (B, d) of all layers whose squares leave the range of the dtype.

    The derivative of a quotient is silently zero where the square of its divisor overflows.

    Args:
        path: the activations.
        samples: (n,), the rows that are explained.

    Raises:
        OutOfRange: with the first of these samples, and the layer.
    """
    # All at once, because nearly always all are finite.
    if torch.cat([*path], 1).square().isfinite().all():
        return
    for layer, a in enumerate(path):
        finite = a[samples].square().isfinite().all(1)
        if not finite.all():
            sample = int(samples[int((~finite).nonzero()[0])])
            what = f"the square of an activation of layer {layer}"
            raise OutOfRange("x", sample, what, str(a.dtype))
