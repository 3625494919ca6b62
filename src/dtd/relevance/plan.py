"""How layers are decomposed: by which rules (theory, section 3), with which roots (section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dtd.domains import Domain
from dtd.networks.layers.layer import AnyLayer
from dtd.networks.network import Network
from dtd.roots.contract import RootChoice, RootFinder
from dtd.rules.formula import Formula
from dtd.rules.rule import Rule


@dataclass(frozen=True, eq=False)
class Plan:
    """How the relevance of one layer is decomposed onto the layer below it."""

    rule: Rule
    finder: RootFinder
    domain: Domain
    """Where the activations of the lower layer may lie."""
    generator: torch.Generator
    """Of what the search draws; it is read from a copy."""

    def formula(self, layer: AnyLayer) -> Formula | None:
        """The roots of the layer as a formula of balls; None where they are searched."""
        return self.finder.formula(self.rule, layer, self.domain)


@dataclass(frozen=True, eq=False)
class Scheme:
    """The plans of all layers, from the input up, before it is known which samples are explained.

    Each field has an entry for every layer; see :class:`Plan`.
    """

    rules: Sequence[Rule]
    roots: Sequence[RootChoice]
    domains: Sequence[Domain]
    generators: Sequence[torch.Generator]

    @classmethod
    def of(cls, plans: Sequence[Plan]) -> Scheme:
        """The scheme of plans that serve all samples."""
        return cls(
            [plan.rule for plan in plans],
            [plan.finder for plan in plans],
            [plan.domain for plan in plans],
            [plan.generator for plan in plans],
        )

    def plans(self, network: Network, x: Tensor) -> tuple[Plan, ...]:
        """The plans below samples ``x`` (B, d) that share their searches.

        ``network`` has one output, the explained one.

        Raises:
            InvalidSetting: there are no such roots for these samples.
        """
        finders = [roots.finders(network, x)[l] for l, roots in enumerate(self.roots)]
        parts = zip(self.rules, finders, self.domains, self.generators, strict=True)
        return tuple(Plan(*part) for part in parts)

    def of_f(self, finder: RootFinder) -> Plan:
        """The plan by which f itself is decomposed onto the input."""
        return Plan(self.rules[0], finder, self.domains[0], self.generators[0])

    def evaluations(self, widths: Sequence[int]) -> list[int]:
        """At how many points each layer's search evaluates relevance, for one anchor.

        ``widths`` are the units per layer, from the input to the output.
        """
        return [
            roots.evaluations(units) for roots, units in zip(self.roots, widths[1:], strict=True)
        ]
