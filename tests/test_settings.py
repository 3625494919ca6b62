"""Settings as they are read from files: what is refused, and in which words."""

from __future__ import annotations

import math
import pickle
from typing import Annotated, Literal

import pytest
from pydantic import Field
from pydantic.dataclasses import dataclass

from dtd.errors import InvalidSetting
from dtd.roots import ROOT_FINDERS, ClosedForm
from dtd.rules import RULES
from dtd_cli.config.errors import SettingError
from dtd_cli.config.names import as_setting
from dtd_cli.config.renamed import RENAMED
from dtd_cli.config.settings import RelevanceSettings
from dtd_cli.config.typed import option, typed
from dtd_cli.config.values import Count, Finite, OneOf, Pair, Positive, Seed, SomeOf, Text

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize("old", RENAMED)
def test_old_names_in_a_file(old):
    setting, _, value = old.partition("=")
    group, _, name = setting.partition(".")
    with pytest.raises(SettingError, match=f"{old}.*; it is {RENAMED[old]} now"):
        typed(group, RelevanceSettings, {name: value or True})


@dataclass(frozen=True)
class Some:
    """A field of every kind of value."""

    count: Count | None
    share: Annotated[float, Field(ge=0, lt=1)]
    scale: Positive
    where: Finite
    seed: Seed
    word: Literal["one", "other"]
    loss: Annotated[str, OneOf({"square": 2, "plain": 1})]
    sign: Annotated[str, OneOf(("comma", "tab"))] | None
    losses: Annotated[list[str], SomeOf(("square", "plain"))]
    pair: Pair
    index: Annotated[int, Field(ge=0)] | Literal["all"]
    text: Text
    flag: bool


GOOD = {
    "count": None, "share": 0, "scale": 1, "where": -2, "seed": 0, "word": "one", "loss": "plain",
    "sign": None, "losses": ["plain"], "pair": [1, 0], "index": "all", "text": "a", "flag": False,
}  # fmt: skip


def test_what_is_meant_is_taken():
    assert typed("some", Some, GOOD) == Some(**GOOD)
    # What a variable of the environment holds is text, and a column's name may be a number.
    given = GOOD | {"count": "3", "share": "0.5", "index": "2", "text": 7, "flag": "true"}
    want = GOOD | {"count": 3, "share": 0.5, "index": 2, "text": "7", "flag": True}
    assert typed("some", Some, given) == Some(**want)


@pytest.mark.parametrize(
    ("field", "values", "allowed"),
    [
        ("count", [0, 1.5, "two", True, [1]], "allowed is any integer >= 1, or null"),
        ("share", [-0.1, 1, "much", NAN, None], "allowed is any number >= 0 and < 1"),
        ("scale", [0, INF, True], "allowed is any number > 0"),
        ("where", [NAN, -INF, "here", None], "allowed is any finite number"),
        ("seed", [1.5, None, False], "allowed is an integer"),
        ("seed", [-1, 2**63], "allowed is any integer >= 0 and < 2**63"),
        ("word", ["two", None, 1, ["one"]], "allowed are one, other"),
        ("loss", ["hinge", None], "allowed are square, plain"),
        ("sign", ["foo", 1], "allowed is comma, tab, or null"),
        ("losses", [[], ["plain", "plain"], "plain"],
         "allowed is a list of some of square, plain, each once"),
        ("losses", [["x"], ["x", 1]],
         "element 0 (the first is 0) is x, a text; "
         "allowed is a list of some of square, plain, each once"),
        ("losses", [["plain", 1], ["square", 1, "x"]],
         "element 1 (the first is 0) is 1, an integer; "
         "allowed is a list of some of square, plain, each once"),
        ("pair", [[1, None]],
         "element 1 (the first is 0) is null; allowed is a list of integers"),
        ("pair", [[0.5, 1]],
         "element 0 (the first is 0) is 0.5, a number; allowed is a list of integers"),
        ("pair", [[1, 1], [1], [1, 2, 3], None], "allowed is a list of integers"),
        ("index", [-1, "some", 0.5, True], "allowed is any integer >= 0, or all"),
        ("text", [None, [1]], "allowed is a text"),
        ("flag", [2, None, "perhaps"], "allowed is true or false"),
    ],
)  # fmt: skip
def test_what_is_refused(field, values, allowed):
    for value in values:
        with pytest.raises(SettingError) as refused:
            typed("some", Some, GOOD | {field: value})
        shown = str(value).translate({ord(letter): None for letter in " '"})
        for python, yaml in (("None", "null"), ("True", "true"), ("False", "false")):
            shown = shown.replace(python, yaml)
        assert str(refused.value) == f"some.{field}={shown}: {allowed}"


def test_settings_that_are_unknown_or_missing():
    for settings, words in (
        (GOOD | {"more": 1}, "some.more=1: no such setting; known are count, share"),
        (GOOD | {"share": "???"}, "some.share=???: it has no default; allowed is any number"),
        ({"share": 0.5}, "some.count=???: allowed is any integer >= 1, or null"),
        (None, "some=null: allowed are settings of count, share"),
    ):
        with pytest.raises(SettingError) as refused:
            typed("some", Some, settings)
        assert str(refused.value).startswith(words)


def test_objects_of_the_library_refuse_in_the_words_of_the_command_line():
    for settings, words in (
        ({"name": "line", "samples": 0}, "roots.samples=0: allowed is any integer >= 1"),
        ({"name": "line", "samples": True}, "roots.samples=true: allowed is an integer"),
        ({"name": "beam"}, "roots=beam: allowed are closed_form, "),
    ):
        with pytest.raises(SettingError) as refused:
            option("roots", ROOT_FINDERS, settings)
        assert str(refused.value).startswith(words)


@pytest.mark.parametrize(
    ("argument", "value", "said"),
    [
        ("max_visits", 10, "relevance.max_visits=10"),
        ("estimator", "guess", "relevance.estimator=guess"),
        ("target", 9, "explain.output=9"),
        ("target", (0, 2), "explain.output=[0,2]"),
        ("rule", RULES["zB"](), "rule=zB"),
        ("input_roots", ClosedForm(), "input_roots=closed_form"),
        ("seed", -1, "seed=-1"),
        ("roots", "prescribed", "roots=prescribed"),
    ],
)
def test_arguments_of_the_library_are_settings(argument, value, said):
    error = as_setting(InvalidSetting(argument, value, "allowed is another"))
    assert str(error) == f"{said}: allowed is another"
    assert as_setting(error) is error
    assert pickle.loads(pickle.dumps(error)).argument == error.argument
