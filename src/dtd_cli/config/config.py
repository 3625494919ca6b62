"""From the configuration that Hydra composed to the objects that it names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dtd.errors import InvalidSetting
from dtd.roots import ROOT_FINDERS, RootChoice
from dtd.rules import RULES, Rule
from dtd_cli.config.errors import SettingError
from dtd_cli.config.plots import PLOTS, Plots
from dtd_cli.config.references import refused
from dtd_cli.config.settings import (
    ExplainSettings,
    RegionMapSettings,
    RelevanceSettings,
    TopSettings,
)
from dtd_cli.config.typed import as_typed, option, typed
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
    roots: RootChoice
    input_roots: RootChoice
    taylor_roots: RootChoice
    compare_input_roots: Mapping[str, RootChoice]
    explain: ExplainSettings
    relevance: RelevanceSettings
    region_map: RegionMapSettings
    plots: Plots
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

    @property
    def silent(self) -> Config:
        """The same run, without progress bars."""
        return replace(self, top=replace(self.top, progress=False))


OPTIONS: Mapping[str, Mapping[str, type]] = {
    "network": NETWORKS,
    "training": TRAININGS,
    "inputs": INPUTS,
    "rule": RULES,
    "input_rule": RULES,
    "roots": ROOT_FINDERS,
    "input_roots": ROOT_FINDERS,
    "taylor_roots": ROOT_FINDERS,
    "plots": PLOTS,
}
"""The config groups, and the classes of their options."""

SECTIONS: Mapping[str, type] = {
    "explain": ExplainSettings,
    "relevance": RelevanceSettings,
    "region_map": RegionMapSettings,
}
"""The settings that belong to no option, but those at the top."""

_TOP = [field.name for field in fields(TopSettings)]


def read(composed: DictConfig) -> Config:
    """The objects that a composed configuration names.

    Raises:
        SettingError: a setting is unknown, missing, or has a value that it cannot have.
    """
    try:
        config: Any = OmegaConf.to_container(composed, resolve=True)
    except OmegaConfBaseException as error:
        raise refused(error, composed) from error
    top = typed("", TopSettings, {name: config[name] for name in _TOP})
    compared = config["compare_input_roots"]
    if not isinstance(compared, dict):
        raise SettingError("compare_input_roots", compared, "allowed are labelled root searches")
    # Those of the input are the same as the others' where they are not chosen.
    chosen: dict[str, Any] = {
        group: option(group, options, config[group])
        for group, options in OPTIONS.items()
        if config[group] is not None or not group.startswith("input_")
    }
    return Config(
        **{"input_rule": chosen["rule"], "input_roots": chosen["roots"], **chosen},
        **{name: typed(name, schema, config[name]) for name, schema in SECTIONS.items()},
        compare_input_roots={
            label: option(_of_label(label, settings), ROOT_FINDERS, settings)
            for label, settings in compared.items()
        },
        top=top,
    )


def canonical(content: Mapping[str, Any]) -> dict[str, Any]:
    """Resolved settings, each as its type has it: ``1``, ``1.0`` and ``'1'`` are one number.

    What has no type, or a value that it cannot have, stays as it is.
    """
    settled = dict(content)
    for group, options in OPTIONS.items():
        settings = content.get(group)
        name = settings.get("name") if isinstance(settings, dict) else None
        if name in options:
            settled[group] = _settled(group, options[str(name)], settings)
    for section, schema in SECTIONS.items():
        settled[section] = _settled(section, schema, content.get(section))
    compared = content.get("compare_input_roots")
    if isinstance(compared, dict):
        settled["compare_input_roots"] = {
            label: _settled(label, ROOT_FINDERS[settings["name"]], settings)
            if isinstance(settings, dict) and settings.get("name") in ROOT_FINDERS
            else settings
            for label, settings in compared.items()
        }
    return settled | {
        name: as_typed(TopSettings, name, content[name]) for name in _TOP if name in content
    }


def _settled(group: str, schema: type, settings: Any) -> Any:
    """The settings with the values of the object that they make."""
    if not isinstance(settings, dict):
        return settings
    try:
        made: Any = typed(group, schema, {key: settings[key] for key in settings if key != "name"})
    except InvalidSetting:
        return settings
    return {key: value if key == "name" else getattr(made, key) for key, value in settings.items()}


_NOT_A_LABEL = re.compile(r"nan|na|null|none|inf|infinity|true|false|name", re.IGNORECASE)
"""What a table would read back as something else, and what has a meaning of its own."""


def _of_label(label: object, settings: Any) -> str:
    """The setting of a labelled search.

    Raises:
        SettingError: the label cannot be told from other words in tables.
    """
    setting = f"compare_input_roots.{label}"
    text = str(label)
    if not re.fullmatch(r"[A-Za-z][\w+.-]{0,39}", text) or _NOT_A_LABEL.fullmatch(text):
        raise SettingError(
            setting,
            "",
            "allowed is a label of up to 40 letters, digits and _ + - that begins with a letter, "
            "and is no word such as null, nan or name",
        )
    search = settings.get("name") if isinstance(settings, dict) else None
    if text in ROOT_FINDERS and text != search:
        raise SettingError(setting, search, "the label is the name of another root search")
    return setting
