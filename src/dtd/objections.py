"""What cannot be: combinations of rules, root searches, domains and networks.

Every function refuses with the name of the argument that it was given.
"""

from __future__ import annotations

from dtd.domains import Domain
from dtd.errors import InvalidSetting
from dtd.networks.network import Network
from dtd.relevance.paths import path_count
from dtd.roots import RootFinder
from dtd.rules import RULES, Rule


def rule_name(rule: Rule) -> str:
    """What a user calls a rule."""
    names = {kind: name for name, kind in RULES.items()}
    return names.get(type(rule), type(rule).__name__)


def check_rule(argument: str, rule: Rule, layer: int, domain: Domain) -> None:
    """Refuse a rule that cannot decompose onto the layer ``layer`` with this domain.

    Raises:
        InvalidSetting: with what is allowed instead.
    """
    if not rule.needs_box:
        return
    reason = ""
    if layer > 0:
        reason = f"for the first layer only; allowed is input_rule={rule_name(rule)}"
    elif not domain.is_box:
        reason = "the inputs come without a box; allowed is a domain that is one"
    elif not ((domain.low <= 0) & (domain.high >= 0)).all():
        reason = "the box of the inputs must hold the origin: low <= 0 <= high"
    if reason:
        raise InvalidSetting(argument, rule_name(rule), reason)


def check_search(argument: str, roots: RootFinder, layer: int, depth: int) -> None:
    """Refuse a search that cannot find roots in the layer ``layer`` of ``depth`` ones.

    Raises:
        InvalidSetting: with what is allowed instead.
    """
    if roots.single_step and layer + 1 < depth:
        raise InvalidSetting(
            argument,
            roots.name,
            "it decomposes f in a single step, not layer by layer; allowed are other searches, a "
            f"network of one layer, or the method simple_taylor with taylor_roots={roots.name}",
        )


def check_prescriptions(
    roots: RootFinder, input_roots: RootFinder, taylor_roots: RootFinder
) -> None:
    """Refuse roots that are made for all layers together where one layer's are wanted.

    Raises:
        InvalidSetting: with what is allowed instead.
    """
    if input_roots.prescription != roots.prescription:
        raise InvalidSetting(
            "input_roots",
            input_roots.name,
            "prescribed roots are for all layers together; allowed is roots=prescribed alone",
        )
    if taylor_roots.prescription is not None:
        raise InvalidSetting(
            "taylor_roots",
            taylor_roots.name,
            "these roots are for all layers; allowed is roots=prescribed",
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
