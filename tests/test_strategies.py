"""``strategies.csv`` against a count by hand, and its picture."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dtd_cli.config.plots import Plots
from dtd_cli.plots import Tables
from dtd_cli.plots.strategies import interval, strategies
from dtd_cli.records.strategies import strategies_table

COLUMNS = [
    "method", "sample", "layer", "neuron", "finder", "status", "relevance", "distance",
    "admissible", "same_region", "evaluations", "certified",
]  # fmt: skip
ROWS = [
    ("recursive", 0, 0, 0, "polytope", "found", 1.0, 2.0, True, True, 0, True),
    ("recursive", 0, 0, 1, "polytope", "not_found", 1.0, np.nan, None, None, 0, True),
    ("recursive", 0, 0, 2, "polytope", "inactive", 0.0, np.nan, None, None, 0, False),
    ("recursive", 1, 0, 0, "polytope", "found", -0.5, 1.0, True, True, 0, True),
    ("recursive", 1, 0, 1, "polytope", "not_found", 1.0, np.nan, None, None, 0, False),
    ("recursive", 0, 0, 0, "random", "found", 1.0, 3.0, True, True, 100, False),
    ("recursive", 0, 0, 1, "random", "found", 1.0, 7.0, False, True, 100, False),
    ("recursive", 0, 0, 2, "random", "inactive", 0.0, np.nan, None, None, 100, False),
    ("recursive", 1, 0, 0, "random", "approximate", -0.5, 0.1, True, True, 100, False),
    ("recursive", 1, 0, 1, "random", "found", 1.0, 5.0, True, False, 100, False),
    ("recursive", 0, 1, 0, "random", "found", 1.0, 4.0, True, True, 60, False),
]


def layers(limits="none"):
    """The ledger of layer 1, whose units the roots of layer 0 are of; ``limits`` of sample 1."""
    rows = [("recursive", 0, 1, "none"), ("recursive", 1, 1, limits)]
    return pd.DataFrame(rows, columns=["method", "sample", "layer", "limits"])


def table():
    roots = pd.DataFrame(ROWS, columns=COLUMNS)
    # As the program writes them: empty where there is no root.
    flags = ["admissible", "same_region"]
    return strategies_table(roots.astype(dict.fromkeys(flags, "boolean")), layers())


def test_counted_by_hand():
    found = table().set_index(["layer", "finder"])
    polytope, random = found.loc[(0, "polytope")], found.loc[(0, "random")]
    assert polytope["units"] == random["units"] == 4
    assert polytope["root_share"] == 0.5
    assert polytope["certified_share"] == 0.75
    assert polytope["distance_ratio_median"] == polytope["distance_ratio_largest"] == 1
    assert random["root_share"] == 0.75
    assert random["approximate_share"] == 0.25
    assert random["admissible_share"] == 0.5
    assert random["same_region_share"] == 0.5
    assert random["admissible_same_region_share"] == 0.25
    assert random["distance_median"] == 5
    assert random["distance_ratio_median"] == pytest.approx(1.5)
    assert random["evaluations"] == 100
    upper = found.loc[(1, "random")]
    assert upper["units"] == 1
    assert np.isnan(upper["distance_ratio_median"])
    # Read back from a file the flags are objects.
    roots = pd.DataFrame(ROWS, columns=COLUMNS)
    pd.testing.assert_frame_equal(strategies_table(roots, layers()), table())


@pytest.mark.parametrize(("limits", "units"), [("unsettled", 4), ("unbounded", 2)])
def test_what_is_not_finite_is_left_out_and_counted(limits, units):
    found = strategies_table(pd.DataFrame(ROWS, columns=COLUMNS), layers(limits))
    found = found.set_index(["layer", "finder"])
    assert found.loc[(0, "random"), "units"] == units
    assert found.loc[(0, "random"), "left_out"] == 4 - units
    assert found.loc[(0, "random"), "root_share"] == (1 if units == 2 else 0.75)
    # The layer of the roots says nothing of what they decompose.
    assert found.loc[(1, "random"), ["units", "left_out"]].tolist() == [1, 0]


def test_what_is_rounding_in_its_layer_is_no_relevance():
    """What is rounding depends on the largest of the sample and layer, not on a fixed size."""
    roots = pd.DataFrame(ROWS, columns=COLUMNS)
    small = roots["neuron"] == 2
    for scale in (1.0, 1e-20):
        sizes = scale * roots["relevance"].mask(small, -6e-15)
        pd.testing.assert_frame_equal(
            strategies_table(roots.assign(relevance=sizes), layers()),
            strategies_table(roots, layers()),
        )
        sizes = scale * roots["relevance"].mask(small, 6e-12)
        more = strategies_table(roots.assign(relevance=sizes), layers())
        assert more.set_index(["layer", "finder"]).loc[0, "units"].tolist() == [5, 5]


def test_the_picture_shows_the_shares():
    figure = strategies(Tables(strategies=table()))
    share, ratio, cost = figure.axes
    names = [text.get_text() for text in share.get_yticklabels()]
    assert names == ["polytope", "random"]
    widths = [bar.get_width() for bar in share.patches]
    assert widths == [0.5, 0.75, 0.5, 0.5, 0.5, 0.25]
    assert [bar.get_width() for bar in cost.patches] == [0, 100]
    # 95 % of two of four: Wilson's interval, from his formula in a table.
    np.testing.assert_allclose(
        interval(np.array([0.0, 0.5]), np.array([10.0, 4.0])),
        [[0.0, 0.15004], [0.27753, 0.84996]],
        atol=2e-5,
    )
    np.testing.assert_allclose(ratio.collections[1].get_offsets()[:, 0], [1, 1.5])


def test_without_certified_roots_no_distance_is_compared():
    alone = strategies_table(pd.DataFrame(ROWS[5:], columns=COLUMNS), layers())
    more = pd.concat([alone, alone.replace({"finder": {"random": "line"}})])
    assert len(strategies(Tables(strategies=more)).axes) == 2


def test_one_strategy_alone_is_no_comparison():
    alone = strategies_table(pd.DataFrame(ROWS[5:], columns=COLUMNS), layers())
    assert strategies(Tables(strategies=alone)) is None
    assert strategies(Tables()) is None


def test_in_one_column_panels_with_a_single_mark_are_lower():
    axes = strategies(Tables(strategies=table()), Plots(width=1)).axes
    shares, *others = (one.get_subplotspec().get_position(one.figure).height for one in axes)
    assert all(height < 0.9 * shares for height in others)


def test_roots_of_f_are_counted_by_samples():
    units = table().query("layer == 0")
    of_f = units.assign(method="simple_taylor", units=1)
    layer, f = "the 4 units with relevance, layer 0", "f, 1 sample"
    for rows, what, number in (
        (units, layer, "4 units of all samples"),
        (of_f, f, "1 sample for f"),
        (pd.concat([units, of_f]), f"{layer}, and {f}", "4 units of all samples, 1 sample for f"),
    ):
        caption = strategies(Tables(strategies=rows)).caption
        assert caption.startswith(f"Root searches for {what}. n = {number}. ")
        assert "Distances" in caption
    caption = strategies(Tables(strategies=units.assign(distance_ratio_median=np.nan))).caption
    assert "Distances" not in caption
