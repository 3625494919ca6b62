"""What a rule is: a search direction for every unit, made of separable terms."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from torch import Tensor

from dtd.domains import Domain
from dtd.networks.network import Layer
from dtd.numerics.products import row_product


class Term(NamedTuple):
    """One separable part of a direction: ``v_ji = factor_i * mask_ji``.

    ``factor`` depends on the anchor, shape (B, d); ``mask`` on the weights only, shape (J, d).
    The masks of a rule's terms have disjoint supports.
    """

    factor: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Rule(ABC):
    """A direction ``v_j(a)`` for each unit j; the root is ``a - t_j v_j`` (theory, section 3).

    Written as a sum of separable terms, so that projections ``w_j v_j`` and whole train-free
    layers are matrix products, and the tensor (B, J, d) is made only for points.
    """

    meets_hinge: ClassVar[bool] = True
    """The step t_j reaches ``z_j = 0``; otherwise t_j = 1 and the root is one shared point."""
    carries_factor: ClassVar[bool] = False
    """``R_i(a)`` is ``a_i`` times something, so a zero of z_j is a zero of the relevance."""
    one_sign: ClassVar[bool] = False
    """No ``w_ji v_ji`` is negative where no activation is, so a projection is its own size."""
    needs_box: ClassVar[bool] = False
    """The direction uses the bounds of the input domain."""

    @abstractmethod
    def terms(self, a: Tensor, layer: Layer, domain: Domain) -> tuple[Term, ...]:
        """The terms of the direction at the anchors ``a`` (B, d)."""

    def products(self, a: Tensor, layer: Layer, domain: Domain) -> list[tuple[Tensor, Tensor]]:
        """Of each term the factor (B, d) and ``W ⊙ mask`` (J, d): ``w_ji v_ji`` in two parts."""
        return [(factor, layer.weight * mask) for factor, mask in self.terms(a, layer, domain)]

    def train_free_total(self, a: Tensor, layer: Layer, projection: Tensor) -> Tensor:
        """What the train-free shares of a unit are divided by, (B, J) like the projection."""
        return projection


def direction(terms: tuple[Term, ...]) -> Tensor:
    """``v`` of shape (B, J, d)."""
    return sum_of([term.factor.unsqueeze(1) * term.mask for term in terms])


def direction_of(terms: tuple[Term, ...], unit: Tensor) -> Tensor:
    """``v_unit`` for pairs of an anchor and a unit (N,), shape (N, d); factors are (N, d)."""
    return sum_of([term.factor * term.mask[unit] for term in terms])


def projection(terms: tuple[Term, ...], layer: Layer) -> Tensor:
    """``w_j v_j``, shape (B, J)."""
    return sum_of([row_product(term.factor, (layer.weight * term.mask).T) for term in terms])


def projection_size(terms: tuple[Term, ...], layer: Layer) -> Tensor:
    """``sum_i |w_ji v_ji|``, shape (B, J): the size against which the projection is zero."""
    return sum_of(
        [row_product(term.factor.abs(), (layer.weight * term.mask).abs().T) for term in terms]
    )


def sum_of(tensors: list[Tensor]) -> Tensor:
    """The sum of one or more tensors whose shapes broadcast."""
    first, *rest = tensors
    return sum(rest, first)
