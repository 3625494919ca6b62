"""The configuration, typed: from what Hydra composed to the objects that it names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dtd_cli.errors import SettingError, check_seed
from dtd_cli.inputs import INPUTS, Inputs
from dtd_cli.networks import NETWORKS, NetworkSpec
from dtd_cli.relevance import METHODS
from dtd_cli.relevance.integral import Integral
from dtd_cli.relevance.series import Series
from dtd_cli.relevance.taylor import Taylor
from dtd_cli.relevance.walks import WALKS
from dtd_cli.roots import ROOT_FINDERS, RootFinder
from dtd_cli.rules import RULES, Rule
from dtd_cli.training import TRAININGS, Training

T = TypeVar("T")

ESTIMATORS = ("enumeration", "walks")
"""How the sum over all roots of the exact recursion is taken."""


@dataclass(frozen=True)
class ExplainSettings:
    """``explain``: which output is explained."""

    output: int | str

    def __post_init__(self) -> None:
        if (isinstance(self.output, str) and self.output != "predicted") or self.output == -1:
            raise SettingError(
                "explain.output", self.output, "allowed is an output's index, or predicted"
            )


@dataclass(frozen=True)
class RelevanceSettings:
    """``relevance``: by which methods, whether roots move, walks, what may be held and visited."""

    methods: list[str]
    root_dependence: str
    degree: Any
    """An integer, or inf; a type of its own would refuse all else in other words."""
    interactions: bool
    walks: bool
    top: int
    max_paths: int
    max_points: int
    max_visits: int
    estimator: str
    walks_per_sample: int

    def __post_init__(self) -> None:
        unknown = [method for method in self.methods if method not in METHODS]
        if unknown or not self.methods or len(set(self.methods)) < len(self.methods):
            raise SettingError(
                "relevance.methods",
                self.methods,
                f"allowed is a list of some of {', '.join(METHODS)}, each once",
            )
        if self.walks and not set(self.methods) & set(WALKS):
            raise SettingError(
                "relevance.walks",
                "true",
                f"allowed with one of {', '.join(WALKS)} among the relevance.methods",
            )
        if self.root_dependence not in ("exact", "constant"):
            raise SettingError(
                "relevance.root_dependence", self.root_dependence, "allowed are exact, constant"
            )
        if self.degree != math.inf and not (type(self.degree) is int and self.degree >= 1):
            raise SettingError(
                "relevance.degree", self.degree, "allowed is any integer >= 1, or inf"
            )
        if self.interactions and "recursive" not in self.methods:
            raise SettingError(
                "relevance.interactions",
                "true",
                "they are those of the method recursive, which relevance.methods must name",
            )
        if self.estimator not in ESTIMATORS:
            raise SettingError(
                "relevance.estimator", self.estimator, f"allowed are {', '.join(ESTIMATORS)}"
            )
        if self.walks and (self.degree != 1 or self.estimator == "walks"):
            raise SettingError(
                "relevance.walks",
                "true",
                "walks are those of the first degree, all of them; allowed with relevance.degree=1 "
                "and relevance.estimator=enumeration",
            )
        plain = self.degree == 1 and not self.interactions and self.root_dependence == "exact"
        if self.estimator == "walks" and not plain:
            raise SettingError(
                "relevance.estimator",
                "walks",
                "walks estimate degree 1, without interactions, with root_dependence=exact; "
                "allowed with others is relevance.estimator=enumeration",
            )
        for name in ("top", "max_paths", "max_points", "max_visits", "walks_per_sample"):
            if getattr(self, name) < 1:
                raise SettingError(
                    f"relevance.{name}", getattr(self, name), "allowed is any integer >= 1"
                )

    @property
    def series(self) -> Series | None:
        """What of each Taylor series is distributed; None is the linear term."""
        if self.degree == math.inf:
            return Integral()
        return Taylor(self.degree) if self.degree > 1 else None


@dataclass(frozen=True)
class RegionMapSettings:
    """``region_map``: the plane in which linear regions are mapped."""

    coordinates: list[int] | None
    sample: int | None

    def __post_init__(self) -> None:
        if self.coordinates is not None and (
            len(set(self.coordinates)) != 2 or len(self.coordinates) != 2
        ):
            raise SettingError(
                "region_map.coordinates",
                self.coordinates,
                "allowed are two different features, such as [0,1], or null",
            )


@dataclass(frozen=True)
class TopSettings:
    """The settings that belong to no group."""

    seed: int
    dtype: str
    device: str
    threads: int
    plots: str
    progress: bool
    studies: list[str]
    force: bool
    report: bool

    def __post_init__(self) -> None:
        check_seed("seed", self.seed)
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise SettingError(name, getattr(self, name), f"allowed are {', '.join(allowed)}")
        if self.threads < 1:
            raise SettingError("threads", self.threads, "allowed is any integer >= 1")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise SettingError("device", self.device, "this machine has none; allowed is cpu")


_CHOICES = {
    "dtype": ("float64", "float32"),
    "device": ("auto", "cpu", "cuda"),
    "plots": ("auto", "all", "none"),
}


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

    def __post_init__(self) -> None:
        if self.input_roots.prescription != self.roots.prescription:
            raise SettingError(
                "input_roots",
                self.input_roots.name,
                "prescribed roots are for all layers together; allowed is roots=prescribed alone",
            )

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
    top = _typed("", TopSettings, {name: config[name] for name in get_type_hints(TopSettings)})
    rule = _option("rule", RULES, config["rule"])
    roots = _option("roots", ROOT_FINDERS, config["roots"])
    input_rule, input_roots = config["input_rule"], config["input_roots"]
    compared = config["compare_input_roots"]
    if not isinstance(compared, dict):
        raise SettingError("compare_input_roots", compared, "allowed are labelled root searches")
    return Config(
        network=_option("network", NETWORKS, config["network"]),
        training=_option("training", TRAININGS, config["training"]),
        inputs=_option("inputs", INPUTS, config["inputs"]),
        rule=rule,
        input_rule=rule if input_rule is None else _option("input_rule", RULES, input_rule),
        roots=roots,
        input_roots=roots
        if input_roots is None
        else _option("input_roots", ROOT_FINDERS, input_roots),
        taylor_roots=_option("taylor_roots", ROOT_FINDERS, config["taylor_roots"]),
        compare_input_roots={
            label: _option(f"compare_input_roots.{label}", ROOT_FINDERS, settings)
            for label, settings in compared.items()
        },
        explain=_typed("explain", ExplainSettings, config["explain"]),
        relevance=_typed("relevance", RelevanceSettings, config["relevance"]),
        region_map=_typed("region_map", RegionMapSettings, config["region_map"]),
        top=top,
    )


def _option(group: str, options: Mapping[str, type[T]], settings: Any) -> T:
    """The object of a config group: its ``name`` picks the class, the rest are its fields."""
    allowed = f"allowed are {', '.join(options)}"
    if not isinstance(settings, dict):
        raise SettingError(group, settings, allowed)
    name = settings.get("name")
    if not isinstance(name, str) or name not in options:
        raise SettingError(group, name, allowed)
    fields = {key: value for key, value in settings.items() if key != "name"}
    return _typed(group, options[name], fields)


def _typed(group: str, schema: type[T], settings: Any) -> T:
    """An instance of the dataclass ``schema``, its fields checked against their types."""
    prefix = f"{group}." if group else ""
    hints = get_type_hints(schema)
    if not isinstance(settings, dict):
        raise SettingError(group, settings, f"allowed are settings of {', '.join(hints)}")
    try:
        typed = OmegaConf.merge(OmegaConf.structured(schema), settings)
    except OmegaConfBaseException as error:
        key = str(error.full_key).partition("[")[0]
        allowed = (
            f"allowed is {_described(hints[key])}" if key in hints else _known(settings, hints)
        )
        raise SettingError(prefix + key, settings.get(key), allowed) from error
    missing = sorted(OmegaConf.missing_keys(typed))
    if missing:
        key = missing[0]
        raise SettingError(
            prefix + key, "???", f"it has no default; allowed is {_described(hints[key])}"
        )
    try:
        return OmegaConf.to_object(typed)  # type: ignore[return-value]
    except SettingError as error:
        # What an object of many groups refuses, it names by its own field.
        setting = error.setting if error.setting.startswith(group) else prefix + error.setting
        raise SettingError(setting, error.value, error.allowed) from error
    except OmegaConfBaseException as error:
        # A list inside a list is found out only by what the object does with it.
        allowed = ", ".join(f"{prefix}{key}: {_described(hint)}" for key, hint in hints.items())
        raise SettingError(group, settings, f"allowed are {allowed}") from error


def _known(settings: Mapping[str, Any], hints: Mapping[str, Any]) -> str:
    return f"no such setting; known are {', '.join(key for key in hints if key in settings)}"


_WORDS = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "a text",
    NoneType: "null",
    list: "a list",
}


def _described(hint: Any) -> str:
    """What a type hint allows, in words."""
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(_described(part) for part in get_args(hint))
    return _WORDS[get_origin(hint) or hint]
