"""Kinds of values that settings have, with the words by which others are refused."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from dtd.errors import check_seed


@dataclass(frozen=True)
class OneOf:
    """Annotates a text that is one of these names, such as the keys of a table."""

    names: Collection[str]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.literal_schema(list(self.names))


@dataclass(frozen=True)
class SomeOf:
    """Annotates a list that has at least one of these names, and each at most once."""

    names: Collection[str]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        some = core_schema.list_schema(core_schema.literal_schema(list(self.names)), min_length=1)
        return core_schema.no_info_after_validator_function(_check_different, some)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"description": f"a list of some of {', '.join(self.names)}, each once"}


def _check_different(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        raise ValueError("a value is there twice")
    return values


different = AfterValidator(_check_different)
"""Annotates a list in which no value is twice."""


def _seed(value: int) -> int:
    check_seed("seed", value)
    return value


Count = Annotated[int, Field(ge=1)]
Size = Annotated[int, Field(ge=1, le=10**6)]
"""How many samples or features a run can hold."""
Seed = Annotated[int, AfterValidator(_seed)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False, description="any finite number")]
FilePath = Annotated[str, Field(coerce_numbers_to_str=True), AfterValidator(os.path.expanduser)]
"""A path in which ``~`` is the user's home."""
Text = Annotated[str, Field(coerce_numbers_to_str=True)]
Pair = Annotated[list[int], Field(min_length=2, max_length=2), different]
