"""What cannot be: combinations of rules, root searches, domains and networks.

Every function refuses with the name of the argument that it was given.
"""

from __future__ import annotations

from dtd.domains import Domain
from dtd.errors import InvalidSetting
from dtd.networks.network import Network
from dtd.relevance.paths.all import path_count
from dtd.roots import ROOT_FINDERS, RootChoice
from dtd.rules import RULES, Rule


def rule_name(rule: Rule) -> str:
    """What a user calls a rule."""
    names = {kind: name for name, kind in RULES.items()}
    return names.get(type(rule), type(rule).__name__)


def check_rule(argument: str, rule: Rule, network: Network, layer: int, domain: Domain) -> None:
    """Refuse a rule that cannot decompose onto the layer ``layer`` with this domain.

    Raises:
        InvalidSetting: with what is allowed instead.
    """
    objection = rule.objection(domain, layer)
    if objection is None:
        objection = rule.layer_objection(network.layers[layer])
    if objection is not None:
        raise InvalidSetting(argument, rule_name(rule), objection)


def check_search(argument: str, roots: RootChoice, network: Network) -> None:
    """Refuse roots that there cannot be in the layers of a network.

    Raises:
        InvalidSetting: with what is allowed instead.
    """
    objection = roots.objection(network.depth)
    if objection is not None:
        raise InvalidSetting(argument, roots.name, objection)
    check_affine(argument, roots, network)


def check_affine(argument: str, roots: RootChoice, network: Network) -> None:
    """Refuse roots that need affine layers alone, where there are others.

    Raises:
        InvalidSetting: with what is allowed instead.
    """
    others = [number for number, layer in enumerate(network.layers, 1) if not layer.is_affine]
    if others and roots.needs_affine_layers:
        searches = (name for name, kind in ROOT_FINDERS.items() if not kind.needs_affine_layers)
        raise InvalidSetting(
            argument,
            roots.name,
            f"it is for affine layers, and layer {others[0]} is max pooling; allowed are "
            f"{', '.join(searches)}, or a network with average pooling",
        )


def check_integral(network: Network) -> None:
    """Refuse the integral of all degrees for networks whose kinks are not those of ReLUs alone.

    Raises:
        InvalidSetting: with what is allowed instead.
    """
    if not all(layer.is_affine for layer in network.layers):
        raise InvalidSetting(
            "degree",
            "inf",
            "the integral is taken between the kinks of ReLUs, and max pooling has others; allowed "
            "is a finite degree, or a network with average pooling",
        )


def check_together(roots: RootChoice, input_roots: RootChoice) -> None:
    """Refuse roots that are made for all layers together beside others in the input.

    Raises:
        InvalidSetting: with what is allowed instead.
    """
    objection = roots.objection_beside(input_roots) or input_roots.objection_beside(roots)
    if objection is not None:
        raise InvalidSetting("input_roots", input_roots.name, objection)


def check_visits(network: Network, samples: int, visits: int, max_visits: int) -> None:
    """Refuse recursions that would not end.

    Args:
        network: what is explained.
        samples: how many samples of it are.
        visits: what all their recursions cost.
        max_visits: what they may cost.

    Raises:
        InvalidSetting: with the cost.
    """
    if visits > max_visits:
        # A float, as it is shown, has an end.
        raise InvalidSetting(
            "max_visits",
            max_visits,
            f"the recursion of {samples} samples through {'-'.join(map(str, network.widths))} "
            f"would cost as much as {min(visits, 10**300):.3g} points; allowed are "
            "estimator=monte_carlo (z+, gamma and x with closed-form roots), fewer samples, a "
            "smaller network, cheaper roots, a lower degree, or a higher limit",
        )


def check_paths(network: Network, max_paths: int) -> None:
    """Refuse a network with too many paths to one output.

    Raises:
        InvalidSetting: with the number of its paths.
    """
    paths = path_count(network)
    if paths > max_paths:
        raise InvalidSetting(
            "max_paths",
            max_paths,
            f"{'-'.join(map(str, network.widths))} has {paths} paths to one output; "
            "allowed are a smaller network, no paths, or a higher limit",
        )
