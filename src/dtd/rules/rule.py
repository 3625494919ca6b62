"""What a rule is: a direction for every unit, in which its root is looked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

from torch import Tensor

from dtd.domains import Domain
from dtd.errors import InvalidSetting
from dtd.networks.layers.layer import AnyLayer, Mask, Product
from dtd.networks.matrices.matrix import Matrix
from dtd.numerics.policy import policy
from dtd.rules.formula import Formula, ToEmptyWindow, ToKink


class Term(NamedTuple):
    """One separable part of a direction: ``v_ji = factor_i * mask_ji``.

    ``factor`` depends on the anchor, shape (B, d); ``mask`` (J, d) on the weights only. The masks
    of a rule's terms have disjoint supports. ``product`` is what the direction adds to the
    pre-activations: ``W ⊙ mask``.
    """

    factor: Tensor
    mask: Matrix
    product: Product

    @classmethod
    def of(cls, factor: Tensor, layer: AnyLayer, mask: Mask) -> Term:
        """The term whose mask is a number for each weight."""
        return cls(factor, layer.mask(mask), layer.product(mask))


@dataclass(frozen=True, eq=False)
class Divisor:
    """What the steps ``t_j = z_j / (w_j v_j)`` along the directions of ``terms`` are divided by."""

    terms: tuple[Term, ...]
    never_cancels: bool = False
    """Whether no ``w_ji v_ji`` is negative, so that the value is its own size."""

    @cached_property
    def value(self) -> Tensor:
        """``w_j v_j``, (B, J)."""
        return sum_of([term.product(term.factor) for term in self.terms])

    @cached_property
    def size(self) -> Tensor:
        """``Σ_i |w_ji v_ji|``, (B, J): the scale on which the value counts as zero."""
        if self.never_cancels:
            return self.value
        sizes = [term.product.sizes(term.factor.abs()) for term in self.terms]
        return sum_of(sizes)

    @property
    def vanishes(self) -> Tensor:
        """Whether the direction is parallel to the hyperplane ``z_j = 0``, (B, J)."""
        return self.value.abs() <= policy(self.value.dtype).degenerate * self.size


@dataclass(frozen=True)
class Rule(ABC):
    """A direction ``v_j(a)`` for each unit j; the root is ``a - t_j v_j`` (theory, section 3.1).

    A direction is a sum of separable terms, so that products ``w_j v_j`` and whole train-free
    layers are matrix products, and the tensor (B, J, d) is made only for points.
    """

    for_nonnegative: ClassVar[bool] = False
    """Whether it is meant for activations that are never negative."""

    @abstractmethod
    def terms(self, a: Tensor, layer: AnyLayer, domain: Domain) -> tuple[Term, ...]:
        """The terms of the direction at the anchors ``a`` (B, d)."""

    def divisor(self, terms: tuple[Term, ...], domain: Domain) -> Divisor | None:
        """The divisor of the steps to ``z_j = 0`` from anchors in the domain.

        None for a rule that steps to a reference point instead: there ``t_j = 1``, and the point
        is in general no root.
        """
        return Divisor(terms, self.never_cancels(domain))

    @property
    def factor_mask(self) -> Mask | None:
        """The mask of a direction ``v_j = a ⊙ m_j``; None where it has another form."""
        return None

    def formula(self, layer: AnyLayer, domain: Domain) -> Formula | None:
        """The root as a formula of balls, with which limits are taken; None without one.

        A rule without it has its limits extrapolated from double precision.
        """
        return None

    def never_cancels(self, domain: Domain) -> bool:
        """Whether no ``w_ji v_ji`` is negative in the domain: ``w_j v_j`` then is its own size."""
        return False

    def objection(self, domain: Domain, layer: int) -> str | None:
        """Why the rule cannot decompose onto the layer ``layer`` with this domain, and what can.

        None where it can.
        """
        return None

    def layer_objection(self, layer: AnyLayer) -> str | None:
        """Why the rule has no roots for the units of such a layer, and what has; else None."""
        if layer.is_affine:
            return None
        return "it has no root for max pooling; allowed there are z+, gamma, x and zero"

    def products(self, a: Tensor, layer: AnyLayer, domain: Domain) -> list[tuple[Tensor, Product]]:
        """Of each term the factor (B, d) and ``W ⊙ mask``: ``w_ji v_ji`` in two parts."""
        return [(term.factor, term.product) for term in self.terms(a, layer, domain)]

    def train_free_divisor(self, a: Tensor, layer: AnyLayer, projection: Tensor) -> Tensor:
        """What the train-free shares of a unit are divided by, (B, J) like the projection."""
        return projection


@dataclass(frozen=True)
class FactorRule(Rule):
    """A rule with ``v_j = a ⊙ m_j``, whose masks depend on the weights alone.

    Relevance then carries the activation as a factor, ``R_i(a) = a_i C_i(a)``. So in the layer
    below a zero of a unit's pre-activation is a zero of its relevance, and the recursion needs
    forward passes only (theory, section 3.3).
    """

    @abstractmethod
    def mask(self, weight: Tensor) -> Tensor:
        """What the masks m_ji are for weights w_ji, elementwise."""

    def checked_mask(self, weight: Tensor) -> Tensor:
        """The mask.

        Raises:
            InvalidSetting: it has not one number for each weight.
        """
        mask = self.mask(weight)
        shape = tuple(mask.shape) if isinstance(mask, Tensor) else None
        if shape != weight.shape:
            given = "no tensor" if shape is None else f"shape {shape}"
            raise InvalidSetting(
                f"{type(self).__name__}.mask",
                given,
                f"allowed is a number for each weight, shape {tuple(weight.shape)}",
            )
        return mask

    @property
    def factor_mask(self) -> Mask:
        return self.checked_mask

    def layer_objection(self, layer: AnyLayer) -> None:
        return None

    def terms(self, a: Tensor, layer: AnyLayer, domain: Domain) -> tuple[Term, ...]:
        return (Term.of(a, layer, self.checked_mask),)

    def products(self, a: Tensor, layer: AnyLayer, domain: Domain) -> list[tuple[Tensor, Product]]:
        return [(a, layer.product(self.checked_mask))]

    def formula(self, layer: AnyLayer, domain: Domain) -> Formula:
        constant = layer.constant_mask(self.checked_mask)
        if constant is None:
            return ToKink(layer.balls, layer.mask(self.checked_mask))
        return ToEmptyWindow(layer.balls, layer.mask(self.checked_mask), constant=constant)


def direction(terms: tuple[Term, ...]) -> Tensor:
    """``v`` of shape (B, J, d)."""
    return sum_of([term.factor.unsqueeze(1) * term.mask.dense() for term in terms])


def direction_of(terms: tuple[Term, ...], unit: Tensor) -> Tensor:
    """``v_unit`` for pairs of an anchor and a unit (N,), shape (N, d); factors are (N, d)."""
    return sum_of([term.factor * term.mask.rows(unit) for term in terms])


def sum_of(tensors: list[Tensor]) -> Tensor:
    """The sum of one or more tensors whose shapes broadcast."""
    first, *rest = tensors
    return sum(rest, first)
