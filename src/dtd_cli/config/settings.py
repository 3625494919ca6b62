"""The settings that are no choice of an option: what is explained, how, and how the run is made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from dtd.errors import check_seed
from dtd.relevance import METHODS
from dtd.relevance.paths import PATHS
from dtd.relevance.series.integral import Integral
from dtd.relevance.series.series import Series
from dtd.relevance.series.taylor import Taylor
from dtd_cli.config.errors import SettingError

MONTE_CARLO = "monte_carlo"
ESTIMATORS = ("enumeration", MONTE_CARLO)
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
    """``relevance``: by which methods, whether roots move, paths, what may be held and visited."""

    methods: list[str]
    root_dependence: str
    degree: Any
    """An integer, or inf; a type of its own would refuse all else in other words."""
    interactions: bool
    paths: bool
    top: int
    max_paths: int
    max_points: int
    max_visits: int
    estimator: str
    sampled_paths: int

    def __post_init__(self) -> None:
        unknown = [method for method in self.methods if method not in METHODS]
        if unknown or not self.methods or len(set(self.methods)) < len(self.methods):
            raise SettingError(
                "relevance.methods",
                self.methods,
                f"allowed is a list of some of {', '.join(METHODS)}, each once",
            )
        if self.paths and not set(self.methods) & set(PATHS):
            raise SettingError(
                "relevance.paths",
                "true",
                f"allowed with one of {', '.join(PATHS)} among the relevance.methods",
            )
        if self.root_dependence not in ("exact", "constant"):
            raise SettingError(
                "relevance.root_dependence", self.root_dependence, "allowed are exact, constant"
            )
        if self.degree != math.inf and not (type(self.degree) is int and self.degree >= 1):
            raise SettingError(
                "relevance.degree",
                self.degree,
                "allowed is any integer >= 1, or inf (.inf in a file)",
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
        if self.paths and (self.degree != 1 or self.estimator == MONTE_CARLO):
            raise SettingError(
                "relevance.paths",
                "true",
                "they are those of the first degree, all of them; allowed with relevance.degree=1 "
                "and relevance.estimator=enumeration",
            )
        plain = self.degree == 1 and not self.interactions and self.root_dependence == "exact"
        if self.estimator == MONTE_CARLO and not plain:
            raise SettingError(
                "relevance.estimator",
                MONTE_CARLO,
                "sampled paths estimate degree 1, without interactions, with "
                "root_dependence=exact; allowed with others is relevance.estimator=enumeration",
            )
        for name in ("top", "max_paths", "max_points", "max_visits", "sampled_paths"):
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
