"""The configuration, typed: from what Hydra composed to the objects that it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dtd.roots import ROOT_FINDERS, RootFinder
from dtd.rules import RULES, Rule
from dtd_cli.config.errors import SettingError
from dtd_cli.config.settings import (
    ExplainSettings,
    RegionMapSettings,
    RelevanceSettings,
    TopSettings,
)
from dtd_cli.config.typed import option, typed
from dtd_cli.inputs import INPUTS, Inputs
from dtd_cli.networks import NETWORKS, NetworkSpec
from dtd_cli.training import TRAININGS, Training


@dataclass(frozen=True)
class Config:
    """One run: the objects that the configuration names."""

    network: NetworkSpec
    training: Training
    inputs: Inputs
    rule: Rule
    input_rule: Rule
    roots: RootFinder
    input_roots: RootFinder
    taylor_roots: RootFinder
    compare_input_roots: Mapping[str, RootFinder]
    explain: ExplainSettings
    relevance: RelevanceSettings
    region_map: RegionMapSettings
    top: TopSettings

    @property
    def dtype(self) -> torch.dtype:
        """The floating point type of the relevances."""
        return {"float64": torch.float64, "float32": torch.float32}[self.top.dtype]

    @property
    def device(self) -> torch.device:
        """Where the relevances are computed."""
        automatic = "cuda" if torch.cuda.is_available() else "cpu"
        return torch.device(automatic if self.top.device == "auto" else self.top.device)

    def draws_pictures(self, alone: bool) -> bool:
        """Whether the run draws; ``alone`` is false in a sweep."""
        return {"all": True, "none": False, "auto": alone}[self.top.plots]


def read(composed: DictConfig) -> Config:
    """The typed configuration.

    Raises:
        SettingError: a setting is unknown, missing, or has a value that it cannot have.
    """
    try:
        config: Any = OmegaConf.to_container(composed, resolve=True)
    except OmegaConfBaseException as error:
        raise SettingError(error.full_key or "configuration", "?", str(error)) from error
    top = typed("", TopSettings, {field.name: config[field.name] for field in fields(TopSettings)})
    rule = option("rule", RULES, config["rule"])
    roots = option("roots", ROOT_FINDERS, config["roots"])
    input_rule, input_roots = config["input_rule"], config["input_roots"]
    compared = config["compare_input_roots"]
    if not isinstance(compared, dict):
        raise SettingError("compare_input_roots", compared, "allowed are labelled root searches")
    return Config(
        network=option("network", NETWORKS, config["network"]),
        training=option("training", TRAININGS, config["training"]),
        inputs=option("inputs", INPUTS, config["inputs"]),
        rule=rule,
        input_rule=rule if input_rule is None else option("input_rule", RULES, input_rule),
        roots=roots,
        input_roots=roots
        if input_roots is None
        else option("input_roots", ROOT_FINDERS, input_roots),
        taylor_roots=option("taylor_roots", ROOT_FINDERS, config["taylor_roots"]),
        compare_input_roots={
            label: option(f"compare_input_roots.{label}", ROOT_FINDERS, settings)
            for label, settings in compared.items()
        },
        explain=typed("explain", ExplainSettings, config["explain"]),
        relevance=typed("relevance", RelevanceSettings, config["relevance"]),
        region_map=typed("region_map", RegionMapSettings, config["region_map"]),
        top=top,
    )
