"""From the settings to a network and the samples that are explained."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dtd.domains import Domain
from dtd.networks.network import Network
from dtd.relevance.plan import Plan, of_sample
from dtd.roots.closed_form import ClosedForm
from dtd.rules import RULES
from dtd.rules.gamma import Gamma
from dtd_cli.config.config import Config
from dtd_cli.config.errors import SettingError
from dtd_cli.config.settings import MONTE_CARLO

SIMPLE_TAYLOR = "simple_taylor/"
"""What tables put before the strategy by which a root of f itself was searched."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a run explains, in its dtype and on its device.

    ``x`` (n, d) are the samples, ``outputs`` (n,) the explained output of each and ``f`` (n,) its
    value; ``plans`` says how each layer is decomposed, ``taylor_plan`` how f is decomposed onto
    the input at once, and ``compared`` the steps of every further root search, by its label.
    """

    network: Network
    names: tuple[str, ...]
    x: Tensor
    outputs: Tensor
    f: Tensor
    plans: tuple[Plan, ...]
    taylor_plan: Plan
    compared: dict[str, tuple[Plan, ...]]
    figures: dict[str, float]

    def plans_of(self, sample: int) -> tuple[Plan, ...]:
        """How every layer is decomposed for one sample, whose roots may be its own."""
        network = self.network.explaining(int(self.outputs[sample]))
        return of_sample(self.plans, network, self.x[sample : sample + 1])

    @property
    def explained(self) -> Tensor:
        """Which samples have something to explain, (n,): f(x) > 0."""
        return self.f > 0


def prepare(config: Config) -> Prepared:
    """Draw or read, and train, what the configuration names.

    Raises:
        SettingError: what the settings name does not fit together.
    """
    seed = config.top.seed
    generator = torch.Generator().manual_seed(seed)
    source = config.inputs.open(config.network.input_size)
    size = len(source.names)
    output_size = config.training.output_size(source.labels)
    network = config.network.build(size, output_size)
    if network.widths[0] != size:
        raise SettingError(
            "inputs",
            type(config.inputs).__name__.lower(),
            f"they have {size} features; allowed are the {network.widths[0]} that the network "
            "takes, or network=mlp, which follows its inputs",
        )
    _check_roots(config, network.depth)
    trained = config.training(network, source, seed, config.top.progress)
    network = trained.network
    output = config.explain.output
    if isinstance(output, int) and not 0 <= output < network.widths[-1]:
        raise SettingError(
            "explain.output",
            output,
            f"allowed is an output from 0 to {network.widths[-1] - 1}, or predicted",
        )

    def explained(x: Tensor) -> tuple[Tensor, Tensor]:
        """f(x) and the explained output, each (N,)."""
        activation = network.forward(x.to(network.layers[0].weight.dtype))
        outputs = activation.argmax(1)
        if isinstance(output, int):
            outputs = torch.full_like(outputs, output)
        return activation.gather(1, outputs.unsqueeze(1)).squeeze(1), outputs

    rows = replace(source, rows=trained.held_out)
    x = config.inputs.samples(rows, lambda drawn: explained(drawn)[0], generator)
    place = (config.dtype, config.device)
    domain = source.domain.to(*place)
    _check_rules(config, network.depth, source.domain)
    _check_sampling(config, network)
    network, x = network.to(*place), x.to(config.device, config.dtype)
    f, outputs = explained(x)
    if not (f > 0).any():
        raise SettingError(
            "explain.output",
            output,
            f"none of the {len(x)} inputs has f(x) > 0, so there is nothing to explain; try "
            "another output, other inputs or another network.seed",
        )
    plans = _plans(config, network, domain, generator)
    compared = {
        label: (replace(plans[0], finder=finder, label=label), *plans[1:])
        for label, finder in config.compare_input_roots.items()
    }
    taylor_plan = replace(
        plans[0], finder=config.taylor_roots, label=config.taylor_roots.name, prefix=SIMPLE_TAYLOR
    )
    return Prepared(
        network, source.names, x, outputs, f, plans, taylor_plan, compared, trained.figures
    )


def _check_rules(config: Config, depth: int, domain: Domain) -> None:
    name = "rule" if config.input_rule is config.rule else "input_rule"
    if config.rule.needs_box and depth > 1:
        raise SettingError("rule", "zB", "for the first layer only; allowed is input_rule=zB")
    if config.input_rule.needs_box and not domain.is_box:
        raise SettingError(
            name,
            "zB",
            "these inputs come without a box; allowed are inputs=digits, inputs=grid, or "
            "inputs=csv with inputs.domain=box inputs.low=... inputs.high=...",
        )
    if config.input_rule.needs_box and not ((domain.low <= 0) & (domain.high >= 0)).all():
        raise SettingError(
            name, "zB", "the box of the inputs must hold the origin: low <= 0 <= high"
        )


def _check_roots(config: Config, depth: int) -> None:
    groups = {"roots": config.roots, "input_roots": config.input_roots}
    groups |= {
        f"compare_input_roots.{label}": finder
        for label, finder in config.compare_input_roots.items()
    }
    for group, finder in groups.items():
        if finder.single_step and depth > 1:
            raise SettingError(
                group,
                finder.name,
                "it decomposes f in a single step, not layer by layer; allowed is "
                f"taylor_roots={finder.name} 'relevance.methods=[simple_taylor]', or a network "
                "of one layer",
            )
    singles = {"taylor_roots": config.taylor_roots}
    singles |= {name: finder for name, finder in groups.items() if name.startswith("compare")}
    for group, finder in singles.items():
        if finder.prescription is not None:
            raise SettingError(
                group, finder.name, "these roots are for all layers; allowed is roots=prescribed"
            )


def _check_sampling(config: Config, network: Network) -> None:
    if config.relevance.estimator != MONTE_CARLO:
        return
    for name, rule, roots in (
        ("rule", config.rule, config.roots),
        ("input_rule", config.input_rule, config.input_roots),
    ):
        if not (rule.carries_factor and isinstance(roots, ClosedForm)):
            allowed = ", ".join(name for name, rule in RULES.items() if rule.carries_factor)
            raise SettingError(
                "relevance.estimator",
                MONTE_CARLO,
                f"sampled paths need {name} and its roots in every layer to be one of {allowed} "
                "with closed_form; allowed with others is relevance.estimator=enumeration",
            )
    unbiased = any(bool((layer.bias == 0).any()) for layer in network.layers)
    if unbiased and any(isinstance(rule, Gamma) for rule in (config.rule, config.input_rule)):
        raise SettingError(
            "relevance.estimator",
            MONTE_CARLO,
            "this network has biases of zero, where with rule=gamma one limit lies on the edge of "
            "another; allowed there are z+ and x, or relevance.estimator=enumeration",
        )
    least = 2 * max(network.widths[1:])
    if config.relevance.sampled_paths < least:
        raise SettingError(
            "relevance.sampled_paths",
            config.relevance.sampled_paths,
            f"allowed is {least} or more: two for each unit of the widest layer",
        )


def _plans(
    config: Config, network: Network, domain: Domain, generator: torch.Generator
) -> tuple[Plan, ...]:
    """How every layer is decomposed.

    The search of the input layer goes on where the inputs' draws ended, as in the seed notebook;
    the others have generators of their own.
    """
    seeds = torch.randint(2**62, (network.depth,), generator=generator.clone_state())
    plans = [
        Plan(config.input_rule, config.input_roots, domain, generator, config.input_roots.name)
    ]
    for width, seed in zip(network.widths[1:-1], seeds.tolist(), strict=False):
        hidden = Domain.nonnegative(width).to(config.dtype, config.device)
        own = torch.Generator().manual_seed(seed)
        plans.append(Plan(config.rule, config.roots, hidden, own, config.roots.name))
    return tuple(plans)
