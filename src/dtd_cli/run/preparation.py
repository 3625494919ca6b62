"""From the settings to a network, the samples that are explained, and what explains them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from dtd.domains import Domain
from dtd.errors import InvalidSetting
from dtd.explainer.estimators import Enumeration, Estimator, MonteCarlo
from dtd.explainer.explainer import DTD
from dtd.explainer.output import Output
from dtd.explainer.targets import Targets, one_target, targets
from dtd.networks.network import Network
from dtd.relevance.plan import Scheme
from dtd.relevance.recursion import Recursion
from dtd_cli.config.config import Config
from dtd_cli.config.errors import SettingError
from dtd_cli.config.settings import MONTE_CARLO
from dtd_cli.inputs.labels import name
from dtd_cli.inputs.source import Scaling, Source
from dtd_cli.run.outputs import target_of
from dtd_cli.run.progress import bars
from dtd_cli.run.selection import Candidates, Rows, chosen, predicted, rows_named
from dtd_cli.training.training import Split


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a run explains, in its dtype and on its device.

    ``data`` is the box of all rows of the data, or of the samples that were drawn. ``rows`` are the
    samples as the data set has them, if they are of one, and ``scaling`` is what standardised
    them. ``classes`` are the names of what outputs stand for. ``x`` (n, d) are the samples,
    ``target`` names what is explained, and ``targets`` is what that is of each. ``explainer``
    explains them by the recursion, and each of ``compared``, by its label, with another root
    search in the input. ``notes`` are for the log.
    """

    names: tuple[str, ...]
    data: Domain
    rows: Rows | None
    scaling: Scaling | None
    classes: Sequence[str]
    x: Tensor
    target: object
    targets: Targets
    explainer: DTD
    compared: Mapping[str, DTD]
    figures: Mapping[str, float]
    notes: Sequence[str]

    @property
    def network(self) -> Network:
        """The network that is explained."""
        return self.explainer.network

    @property
    def scheme(self) -> Scheme:
        """How every layer is decomposed."""
        return self.explainer.scheme

    @property
    def outputs(self) -> Sequence[Output]:
        """The explained output of each sample, n of them."""
        return self.targets.outputs

    @property
    def f(self) -> Tensor:
        """Its value, (n,)."""
        return self.targets.f

    @property
    def explained(self) -> Tensor:
        """Which samples have something to explain, (n,): f(x) != 0."""
        return self.targets.explained

    @property
    def predicted(self) -> list[str]:
        """The class that the network names for each sample; empty where there are none."""
        return predicted(self.network, self.x, self.classes)

    @property
    def explained_classes(self) -> list[str]:
        """The class that each explained output stands for, a single output by its sign."""
        if self.network.widths[-1] == 1:
            return self.predicted
        return [output.named(self.classes) for output in self.outputs]

    @property
    def features(self) -> Tensor:
        """The samples in the units of the data, (n, d)."""
        if self.rows is None or self.scaling is None:
            return self.x
        return self.rows.features.to(self.x)

    @property
    def prescription(self) -> Sequence[float] | None:
        """The relevance of the input that roots are made for, where they are."""
        return self.scheme.roots[0].prescription

    def recursion_of(self, sample: int) -> Recursion:
        """The relevance functions of one sample, f's or -f's, whose roots may be its own."""
        return self.explainer.recursion(self.outputs[sample], self.x[sample : sample + 1])


def prepare(config: Config) -> Prepared:
    """Draw or read, and train, what the configuration names.

    Raises:
        InvalidSetting: what the settings name does not fit together.
    """
    seed = config.top.seed
    generator = torch.Generator().manual_seed(seed)
    source = config.inputs.open(config.network.input_size)
    size = len(source.names)
    network = config.network.build(source.shape, config.training.output_size(source.labels))
    if network.widths[0] != size:
        raise SettingError(
            "inputs",
            type(config.inputs).__name__.lower(),
            f"they have {size} features; allowed are the {network.widths[0]} that the network "
            "takes, or network=mlp, which follows its inputs",
        )
    # What cannot be is refused before the training, which takes long: these weights stand for those
    # that it will give.
    explainer = _explainer(config, network, source.domain)
    by_method(config, explainer)
    _compared(config, explainer)
    outputs = network.widths[-1]
    output = target_of(config.explain.output, outputs, source.labels, None)
    if output is not None:
        one_target(network, output)
    source.check_range(config.dtype, "allowed are smaller numbers, or dtype=float64")
    split = Split.whole(0) if source.rows is None else config.training.split(len(source.rows), seed)
    given, source = source, config.inputs.fitted(source, split.train)
    if source.scaling is not None:
        given.check_range(config.dtype, "allowed are smaller numbers", _FARTHER)
    trained = config.training(network, source, split, seed, config.top.progress)
    classes = [*map(name, config.training.classes(source.labels, outputs))]

    def f(drawn: Tensor) -> Tensor:
        network = trained.network
        return targets(network, network.activations(drawn.to(network.dtype)), output).f

    if source.rows is None:
        if config.explain.samples != "first":
            raise SettingError(
                "explain.samples",
                config.explain.samples,
                "these inputs are drawn and have no rows; allowed is explain.samples=first",
            )
        assert source.draw is not None, "what has no rows is drawn"
        rows, x = None, source.draw(f, generator)
    else:
        numbers = _chosen(config, trained.network, source, split, classes, f)
        rows, x = Rows.of(given, split, numbers), source.rows[numbers]
        if source.labels is not None:
            own = source.labels[numbers]
            output = target_of(config.explain.output, outputs, source.labels, own)
    x = x.to(config.device, config.dtype)
    # The search of the input layer goes on where the inputs' draws ended, as in the seed notebook.
    explainer = replace(_explainer(config, trained.network, source.domain), seed=generator)
    with rows_named(source.names, rows):
        explained = targets(explainer.network, explainer.network.activations(x), output)
    if not explained.explained.any():
        raise SettingError(
            "explain.output",
            config.explain.output,
            f"f(x) is 0 for each of the {len(x)} inputs, so there is nothing to explain; try "
            "network.output_activation=linear, another output, other inputs or another "
            "network.seed",
        )
    compared = _compared(config, explainer)
    return Prepared(
        source.names,
        _box(source.rows, x),
        rows,
        source.scaling,
        classes,
        x,
        output,
        explained,
        explainer,
        compared,
        trained.figures,
        [*source.notes, *trained.notes, *_changed(config, network, trained.network)],
    )


_FARTHER = 2.0**30
"""So many times farther out than the data a root may lie, in the units of the data."""


def _changed(config: Config, network: Network, trained: Network) -> Iterator[str]:
    """A note where the weights that the user brought are no longer those that are explained."""
    if config.network.has_weights and trained is not network:
        yield (
            "the weights that the network came with were trained further; training=none explains "
            "them as they are"
        )


def _box(rows: Tensor | None, x: Tensor) -> Domain:
    """The smallest box that holds the data."""
    points = (x if rows is None else rows).double().cpu()
    return Domain(points.amin(0), points.amax(0))


def _chosen(
    config: Config,
    network: Network,
    source: Source,
    split: Split,
    classes: Sequence[str],
    f: Callable[[Tensor], Tensor],
) -> np.ndarray:
    """The rows of a data set that are explained."""

    def candidates(numbers: np.ndarray) -> Candidates:
        assert source.rows is not None, "what is drawn has no rows"
        rows = source.rows[numbers].to(network.dtype)
        return Candidates(
            Rows.of(source, split, numbers).label,
            lambda: predicted(network, rows, classes),
            lambda: f(rows),
            config.top.seed,
        )

    return chosen(config.explain, config.inputs, source, split, candidates)


def _explainer(config: Config, network: Network, domain: Domain) -> DTD:
    settings = config.relevance
    return DTD(
        network,
        rule=config.rule,
        input_rule=None if config.input_rule is config.rule else config.input_rule,
        roots=config.roots,
        input_roots=None if config.input_roots is config.roots else config.input_roots,
        domain=domain,
        degree=settings.degree,
        root_dependence=settings.root_dependence,
        max_points=settings.max_points,
        max_visits=settings.max_visits,
        estimator=_estimator(config),
        taylor_roots=config.taylor_roots,
        # Paths add up to what the general way gives, also where limits are approximate.
        forward_passes=not settings.paths,
        dtype=config.dtype,
        device=config.device,
        track=bars(config.top.progress),
    )


def _estimator(config: Config) -> Estimator:
    if config.relevance.estimator == MONTE_CARLO:
        return MonteCarlo(config.relevance.sampled_paths, config.relevance.stderr)
    return Enumeration()


def by_method(config: Config, explainer: DTD) -> dict[str, DTD]:
    """What explains the samples by each method of the run."""
    methods = config.relevance.methods
    # Without the recursion it is another method that refuses them.
    interacting = "recursive" if "recursive" in methods else methods[0]
    return {
        method: replace(
            explainer,
            method=method,
            interactions=config.relevance.interactions and method == interacting,
        )
        for method in methods
    }


def _compared(config: Config, explainer: DTD) -> dict[str, DTD]:
    """The recursion with each further search for roots in the input, by its label.

    Raises:
        SettingError: one of the searches cannot be.
    """
    compared = {}
    for label, finder in config.compare_input_roots.items():
        try:
            compared[label] = replace(explainer, input_roots=finder, estimator=Enumeration())
        except InvalidSetting as error:
            name = f"compare_input_roots.{label}"
            raise SettingError(name, error.value, error.allowed) from error
    return compared
