"""What a rule is: a direction for every unit, in which its root is looked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from dtd.domains import Domain
from dtd.networks.network import Layer
from dtd.numerics.policy import policy
from dtd.numerics.products import row_product
from dtd.rules.formula import Formula, ToKink


class Term(NamedTuple):
    """One separable part of a direction: ``v_ji = factor_i * mask_ji``.

    ``factor`` depends on the anchor, shape (B, d); ``mask`` on the weights only, shape (J, d).
    The masks of a rule's terms have disjoint supports.
    """

    factor: Tensor
    mask: Tensor


@dataclass(frozen=True, eq=False)
class Divisor:
    """What the steps ``t_j = z_j / (w_j v_j)`` along the directions of ``terms`` are divided by."""

    terms: tuple[Term, ...]
    layer: Layer

    @cached_property
    def value(self) -> Tensor:
        """``w_j v_j``, (B, J)."""
        return projection(self.terms, self.layer)

    @cached_property
    def size(self) -> Tensor:
        """``Σ_i |w_ji v_ji|``, (B, J): the scale on which the value counts as zero."""
        return projection_size(self.terms, self.layer)

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

    @abstractmethod
    def terms(self, a: Tensor, layer: Layer, domain: Domain) -> tuple[Term, ...]:
        """The terms of the direction at the anchors ``a`` (B, d)."""

    def divisor(self, terms: tuple[Term, ...], layer: Layer) -> Divisor | None:
        """The divisor of the steps to ``z_j = 0``.

        None for a rule that steps to a reference point instead: there ``t_j = 1``, and the point
        is in general no root.
        """
        return Divisor(terms, layer)

    def mask(self, weight: Tensor) -> Tensor | None:
        """The masks m_j (J, d) of a direction ``v_j = a ⊙ m_j``; None where it has another form."""
        return None

    def formula(self, layer: Layer, domain: Domain) -> Formula | None:
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

    def products(self, a: Tensor, layer: Layer, domain: Domain) -> list[tuple[Tensor, Tensor]]:
        """Of each term the factor (B, d) and ``W ⊙ mask`` (J, d): ``w_ji v_ji`` in two parts."""
        return [(factor, layer.weight * mask) for factor, mask in self.terms(a, layer, domain)]

    def train_free_divisor(self, a: Tensor, layer: Layer, projection: Tensor) -> Tensor:
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
        """The masks m_j, of the shape (J, d) of the weights."""

    def terms(self, a: Tensor, layer: Layer, domain: Domain) -> tuple[Term, ...]:
        return (Term(a, self.mask(layer.weight)),)

    def formula(self, layer: Layer, domain: Domain) -> Formula:
        mask = self.mask(layer.weight)
        return ToKink(layer.weight, mask, torch.zeros_like(mask))


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
    """``Σ_i |w_ji v_ji|``, shape (B, J): the scale on which the projection counts as zero."""
    return sum_of(
        [row_product(term.factor.abs(), (layer.weight * term.mask).abs().T) for term in terms]
    )


def sum_of(tensors: list[Tensor]) -> Tensor:
    """The sum of one or more tensors whose shapes broadcast."""
    first, *rest = tensors
    return sum(rest, first)
