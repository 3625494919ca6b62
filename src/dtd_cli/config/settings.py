"""The settings that belong to no option: what is explained and how, and how the run is made."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.dataclasses import dataclass

from dtd.relevance import METHODS
from dtd.relevance.paths.all import PATHS
from dtd_cli.config.errors import SettingError
from dtd_cli.config.values import Count, Pair, Positive, Seed, SomeOf, Text

MONTE_CARLO = "monte_carlo"


def _number_of(output: object) -> object:
    """An index that is written as a text."""
    return int(output) if isinstance(output, str) and output.isdecimal() else output


_Output = Annotated[Annotated[int, Field(ge=0)] | str, BeforeValidator(_number_of)]


@dataclass(frozen=True)
class ExplainSettings:
    """``explain``: which output is explained, and of which rows of a data set."""

    output: Annotated[
        _Output | Annotated[list[_Output], Field(min_length=2, max_length=2)],
        Field(
            description="an output's index, predicted, label, the name of a class, or a pair such "
            "as [3,5] for the difference of two outputs"
        ),
    ]
    samples: Literal["first", "random", "wrong", "highest", "by_class"]


def _degree(value: float) -> float:
    if value != math.inf and not (isinstance(value, int) and value >= 1):
        raise ValueError("no degree")
    return value


@dataclass(frozen=True)
class RelevanceSettings:
    """``relevance``: the methods, how roots are expanded, and limits of memory and time."""

    methods: Annotated[list[str], SomeOf(METHODS)]
    root_dependence: Literal["exact", "constant"]
    degree: Annotated[
        int | float,
        AfterValidator(_degree),
        Field(description="any integer >= 1, or inf (.inf in a file)"),
    ]
    interactions: bool
    paths: bool
    top: Count
    max_paths: Count
    max_points: Count
    max_visits: Count
    estimator: Literal["enumeration", "monte_carlo"]
    sampled_paths: Annotated[int, Field(ge=10)] | None
    stderr: Positive | None

    def __post_init__(self) -> None:
        if self.paths and not set(self.methods) & set(PATHS):
            raise SettingError(
                "relevance.paths",
                "true",
                f"allowed with one of {', '.join(PATHS)} among the relevance.methods",
            )
        if self.paths and (self.degree != 1 or self.estimator == MONTE_CARLO):
            raise SettingError(
                "relevance.paths",
                "true",
                "they are those of the first degree, all of them; allowed with relevance.degree=1 "
                "and relevance.estimator=enumeration",
            )


@dataclass(frozen=True)
class RegionMapSettings:
    """``region_map``: the plane in which linear regions are mapped."""

    coordinates: Annotated[
        Pair | None, Field(description="two different features, such as [0,1], or null")
    ]
    sample: int | None


@dataclass(frozen=True)
class TopSettings:
    """The settings that belong to no group."""

    seed: Seed
    dtype: Literal["float64", "float32"]
    device: Literal["auto", "cpu", "cuda"]
    threads: Annotated[int, Field(ge=1, le=1024)]
    progress: bool
    studies: list[Text]
    force: bool
    verify: bool
    report: bool
    objective: Text | list[Text]

    def __post_init__(self) -> None:
        if self.device == "cuda" and not torch.cuda.is_available():
            raise SettingError("device", self.device, "this machine has none; allowed is cpu")
