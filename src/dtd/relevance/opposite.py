"""The explanation of f from that of -f: all relevances, and f itself, change their sign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from dtd.relevance.evidence import Evidence
from dtd.relevance.explanation import Explanation
from dtd.relevance.ledger import Ledger
from dtd.relevance.root_tree import RootTree


def opposite(explanation: Explanation) -> Explanation:
    """The explanation of f, where that of -f is given. Standard errors and limits have no sign."""
    return replace(
        explanation,
        relevances=_all(explanation.relevances),
        ledgers={layer: _ledger(ledger) for layer, ledger in explanation.ledgers.items()},
        evidence={
            layer: tuple(map(_evidence, searches))
            for layer, searches in explanation.evidence.items()
        },
        terms=_all(explanation.terms),
        interactions=_all(explanation.interactions),
    )


def opposite_tree(tree: RootTree) -> RootTree:
    """The same roots, with the relevance of f where that of -f is given."""
    return tuple(replace(level, relevance=negative(level.relevance)) for level in tree)


def negative(values: Tensor) -> Tensor:
    """The values with the other sign, and zeros without one."""
    return 0 - values


def _all(values: Mapping[int, Tensor]) -> dict[int, Tensor]:
    return {layer: negative(value) for layer, value in values.items()}


def _ledger(ledger: Ledger) -> Ledger:
    return Ledger(
        upper_sum=negative(ledger.upper_sum),
        relevance_sum=negative(ledger.relevance_sum),
        # What was positive is negative.
        negative_sum=negative(ledger.relevance_sum - ledger.negative_sum),
        zero_order=negative(ledger.zero_order),
        unresolved=negative(ledger.unresolved),
    )


def _evidence(roots: Evidence) -> Evidence:
    scan = roots.scan
    return replace(
        roots,
        relevance=negative(roots.relevance),
        residual=negative(roots.residual),
        output_change=negative(roots.output_change),
        scan=None if scan is None else replace(scan, relevance=negative(scan.relevance)),
    )
