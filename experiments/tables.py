"""The tables of the README: which runs each is measured in, what of them, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

import conservation
import faithfulness
import measures
import published
import shown
import width
from runs import Run, runs

_RULE = {"rule": "rule.name", "gamma": "rule.gamma"}
_SEED = {"seed": "seed"}
_INIT = {"init": "network.init"}
_NETWORK = {
    "rule": "rule.name",
    "input_rule": "input_rule.name",
    "hidden": "network.hidden",
    "seed": "seed",
}
_DEGREE = {"degree": "relevance.degree"}
_WIDTH = (
    _RULE
    | _INIT
    | _SEED
    | {
        "network": "network.name",
        "hidden": "network.hidden",
        "channels": "network.channels",
        "data": "inputs.name",
        "training": "training.name",
        "learning_rate": "training.learning_rate",
        "clamped": "training.nonpositive_biases",
    }
)


@dataclass(frozen=True)
class Table:
    """One table: ``keys`` are the settings that tell its runs apart, by the name of a column."""

    experiments: tuple[str, ...]
    measure: Callable[[Run], pd.DataFrame]
    show: Callable[[pd.DataFrame], str]
    keys: Mapping[str, str] = field(default_factory=dict)
    needs: str = ""
    """A package of the extra ``metrics``, without which its numbers stay as they are stored."""

    @property
    def missing(self) -> bool:
        """Whether what it needs is not installed."""
        return bool(self.needs) and find_spec(self.needs) is None

    def measured(self, folder: Path) -> pd.DataFrame:
        """The numbers of the runs below ``folder/EXPERIMENT``; a dead network has a row too."""
        return pd.concat(
            [self._of(run) for name in self.experiments for run in runs(folder / name)],
            ignore_index=True,
        )

    def _of(self, run: Run) -> pd.DataFrame:
        rows = self.measure(run) if run.done else pd.DataFrame(index=[0])
        settings = {name: run.setting(key) for name, key in self.keys.items()}
        given = pd.DataFrame({**settings, "status": "done" if run.done else "dead"}, rows.index)
        return given.drop(columns=rows.columns.intersection(["status"])).join(rows)


TABLES = {
    "notebook_roots": Table(("notebook",), measures.notebook_roots, shown.notebook_roots),
    "notebook_ledger": Table(("notebook",), measures.input_ledger, shown.input_ledger),
    "any_explanation": Table(("any_explanation",), measures.named_relevance, shown.named_relevance),
    "root_strategies": Table(("root_strategies",), measures.strategies, shown.strategies),
    "rules_2layer": Table(
        ("rules_2layer", "rules_2layer_gamma"), measures.summed_root, shown.summed_root, _RULE
    ),
    "roots_leave_region": Table(
        ("roots_leave_region", "roots_leave_region_gamma"),
        measures.same_region,
        shown.same_region,
        _RULE | _SEED,
    ),
    "published_protocol": Table(
        ("published_protocol", "published_protocol_gamma", "published_4layer"),
        published.changes,
        published.protocol,
        _RULE | {"hidden": "network.hidden"},
    ),
    "upper_relevance": Table(
        ("upper_relevance",), published.proportion, published.proportions, {"rule": "rule.name"}
    ),
    "gamma_scan": Table(
        ("gamma_scan",), published.scan, published.scanned, {"gamma": "rule.gamma"}
    ),
    "region_chains": Table(
        ("region_chains",), published.chains, published.covered, {"search": "input_roots.name"}
    ),
    "full_backward": Table(("full_backward",), measures.agreement, shown.agreement),
    "full_backward_regions": Table(("full_backward",), measures.region_size, shown.region_size),
    "full_backward_tree": Table(("full_backward",), measures.nested_roots, shown.nested_roots),
    "output_scaling": Table(
        ("output_scaling", "output_scaling_published"),
        measures.output_scaling,
        shown.output_scaling,
        _INIT | _SEED,
    ),
    "regions_2d": Table(
        ("regions_2d", "regions_2d_wide", "regions_2d_published"),
        measures.regions,
        shown.regions,
        _INIT | _SEED | {"reach": "inputs.high"},
    ),
    "maximum": Table(("maximum",), measures.maximum, shown.maximum),
    "constant_roots": Table(
        ("constant_roots",),
        measures.constant_roots,
        shown.constant_roots,
        {"rule": "rule.name", "roots": "relevance.root_dependence"},
    ),
    "conservation": Table(
        ("conservation", "conservation_box"),
        measures.conservation,
        conservation.by_layer,
        _NETWORK,
    ),
    "conservation_random": Table(
        ("conservation_random", "conservation_random_box"),
        measures.conservation,
        conservation.by_layer,
        _NETWORK,
    ),
    "conservation_degree": Table(
        (
            "conservation",
            "conservation_box",
            "conservation_degree",
            "conservation_degree_box",
            "conservation_integral",
            "conservation_integral_box",
        ),
        measures.conservation,
        conservation.by_degree,
        _NETWORK | _DEGREE,
    ),
    "conservation_degree_random": Table(
        ("conservation_degree_random",),
        measures.conservation,
        conservation.by_degree,
        _NETWORK | _DEGREE,
    ),
    "conservation_width": Table(("conservation_width",), width.by_layer, width.by_width, _WIDTH),
    "conservation_width_others": Table(
        (
            "conservation_width_depth",
            "conservation_width_slow",
            "conservation_width_mnist",
            "conservation_width_cnn",
            "conservation_width_cnn_wide",
            "conservation_width_gamma",
            "conservation_width_random",
            "conservation_width_gamma_random",
            "conservation_width_x",
            "conservation_width_x_trained",
        ),
        width.by_layer,
        width.by_setting,
        _WIDTH,
    ),
    "faithfulness": Table(
        ("faithfulness", "faithfulness_mnist"),
        faithfulness.areas,
        faithfulness.by_width,
        {"data": "inputs.name", "hidden": "network.hidden"} | _SEED,
        needs="quantus",
    ),
    "rank_collapse": Table(
        ("rank_collapse",),
        measures.rank_collapse,
        shown.rank_collapse,
        {"rule": "rule.name"} | _SEED,
    ),
}
"""By the name of its markers in the README and of its file in ``results/``."""
