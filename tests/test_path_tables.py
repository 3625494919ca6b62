"""``paths.csv``, ``flows.csv``, ``root_tree.csv``, and the pictures that are drawn from them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex

from cases import MANY, positive_input, random_network, recursion
from dtd.relevance import Problem
from dtd.relevance.paths.all import PATHS
from dtd.relevance.plan import Scheme
from dtd_cli.plots import Tables, style
from dtd_cli.plots.path_graph import path_graph
from dtd_cli.plots.root_tree import MOST_NODES, heights, root_tree, strongest
from dtd_cli.records.paths import REST, MethodPaths, path_tables

SAMPLES = np.array([4, 1, 7])
OUTPUT = 1
WIDTHS = (3, 5, 4, 2)


def parts(max_points=MANY):
    net, x = random_network(WIDTHS, 30, "positive"), positive_input(3, 38, 3)
    steps = recursion(net, "w2").plans
    problem = Problem(net, OUTPUT, x, Scheme.of(steps), max_points, steps[0])
    for method in PATHS:
        done = 0
        for paths in PATHS[method](problem):
            count = len(paths.relevance)
            yield MethodPaths(method, OUTPUT, SAMPLES[done : done + count], paths)
            done += count


@cache
def tables(top=5):
    return path_tables(parts(), top)


@cache
def dense():
    """The relevance of all paths by method and sample."""
    return {
        (part.method, sample): paths.numpy()
        for part in parts()
        for sample, paths in zip(part.samples.tolist(), part.paths.relevance, strict=True)
    }


def test_the_cases_say_something():
    for (method, _), paths in dense().items():
        assert (paths < 0).any() == (method == "recursive")
        assert (paths > 0).any()
        assert (paths != 0).sum() > 5


@pytest.mark.parametrize("top", [1, 5, 60, 1000])
def test_the_strongest_and_the_rest(top):
    table = tables(top)["paths.csv"]
    assert list(dict.fromkeys(table["method"])) == list(PATHS)
    for (method, sample), rows in table.groupby(["method", "sample"]):
        paths = dense()[method, sample]
        *_, last = rows["rank"]
        assert last == REST
        listed = rows[:-1]
        wanted = sorted(paths[paths != 0], key=abs, reverse=True)[:top]
        assert list(listed["rank"]) == [str(n + 1) for n in range(len(wanted))]
        assert list(listed["relevance"]) == wanted
        units = listed[["unit_0", "unit_1", "unit_2"]].to_numpy(dtype=int)
        assert [paths[tuple(unit)] for unit in units] == wanted
        assert (listed["unit_3"] == OUTPUT).all()
        assert rows["relevance"].sum() == pytest.approx(paths.sum(), rel=1e-12)
        assert rows.iloc[-1][["unit_0", "unit_1", "unit_2", "unit_3"]].isna().all()


def test_samples_are_in_their_order():
    for table in tables().values():
        groups = table.groupby("method") if "method" in table else [("", table)]
        for _, rows in groups:
            assert rows["sample"].is_monotonic_increasing
            assert set(rows["sample"]) == set(SAMPLES.tolist())


def test_flows_are_sums_of_all_paths():
    table = tables(1)["flows.csv"]
    assert len(table) == 2 * 3 * (3 * 5 + 5 * 4 + 4)
    for row in table.itertuples():
        paths = dense()[row.method, row.sample]
        through = np.take(paths, row.lower, row.layer)
        if row.layer < 2:
            through = np.take(through, row.upper, row.layer)
        else:
            assert row.upper == OUTPUT
        assert row.relevance == pytest.approx(through.sum(), rel=1e-12, abs=1e-15)


def test_the_tree_has_what_passes_through_every_root():
    table = tables()["root_tree.csv"]
    for sample, rows in table.groupby("sample"):
        assert list(rows["node"]) == list(range(len(rows)))
        tree = rows.set_index("node")
        paths = dense()["recursive", sample]
        for node, row in tree.iterrows():
            path, above = [row["neuron"]], row["parent"]
            while not pd.isna(above):
                path.insert(0, tree.loc[above, "neuron"])
                above = tree.loc[above, "parent"]
            assert len(path) == row["layer"] + 1
            if row["layer"] == 2:
                assert path.pop() == OUTPUT
            through = paths[(slice(None), *path)].sum()
            rooted = row["status"] in ("found", "approximate")
            assert row["passed"] == pytest.approx(through if rooted else 0, rel=1e-12, abs=1e-15)
            assert pd.isna(row["epsilon"]) == pd.isna(row["distance"]) == (not rooted)
            children = (tree["parent"] == node).sum()
            assert children == ((5, 4, 1)[row["layer"] + 1] if rooted and row["layer"] < 2 else 0)


@pytest.mark.parametrize("max_points", [1, 60])
def test_chunks_change_nothing(max_points):
    """Not even the last bit: the files have the same bytes."""
    for name, table in path_tables(parts(max_points=max_points), 5).items():
        pd.testing.assert_frame_equal(
            table.reset_index(drop=True), tables()[name].reset_index(drop=True), check_exact=True
        )


def test_a_network_of_one_layer():
    net, x = random_network((3, 2), 1, "positive"), positive_input(3, 1, 1)
    steps = recursion(net.explaining(0), "z+").plans
    problem = Problem(net, 0, x, Scheme.of(steps), MANY, steps[0])
    (paths,) = PATHS["recursive"](problem)
    written = path_tables([MethodPaths("recursive", 0, np.array([0]), paths)], 20)
    assert list(written["paths.csv"]["unit_1"].dropna()) == [0] * int((paths.relevance != 0).sum())
    assert list(written["flows.csv"]["relevance"]) == paths.relevance[0].tolist()
    assert list(written["root_tree.csv"]["passed"]) == [pytest.approx(paths.relevance.sum())]


class TestPictures:
    def picture_tables(self):
        written = tables()
        return Tables(flows=written["flows.csv"], root_tree=written["root_tree.csv"])

    def edges(self, axes):
        (lines,) = [c for c in axes.collections if isinstance(c, LineCollection)]
        return lines

    def test_edges_are_as_wide_as_the_flows(self):
        flows = tables()["flows.csv"]
        picture = path_graph(self.picture_tables())
        panels = iter(picture.axes)
        for sample in sorted(SAMPLES):
            of_sample = flows[flows["sample"] == sample]
            widest = of_sample["relevance"].abs().max()
            for method in PATHS:
                drawn = self.edges(next(panels))
                own = of_sample.loc[of_sample["method"] == method, "relevance"]
                own = own[own.abs() > 0.004 * widest]
                own = own.loc[own.abs().sort_values().index]
                wanted = (13 * own.abs() / widest).clip(lower=0.3)
                assert np.array(drawn.get_linewidths()) == pytest.approx(wanted.to_numpy())
                colours = [to_hex(c) for c in drawn.get_colors()]
                assert colours == [style.POSITIVE if value > 0 else style.NEGATIVE for value in own]

    def test_an_edge_joins_its_units(self):
        relevance = {(0, 1, 2): 1.0, (1, 2, 0): -2.0}
        pairs = [*((0, i, j) for i in range(2) for j in range(3)), *((1, j, 0) for j in range(3))]
        flows = pd.DataFrame(pairs, columns=["layer", "lower", "upper"]).assign(
            method="recursive", sample=0, relevance=[relevance.get(pair, 0.0) for pair in pairs]
        )
        (axes,) = path_graph(Tables(flows=flows)).axes
        first, second = self.edges(axes).get_segments()
        assert first[[0, -1]].tolist() == [[0, 0], [1, 0]]
        assert second[[0, -1]].tolist() == [[1, 0], [2, 0.5]]
        assert [to_hex(c) for c in self.edges(axes).get_colors()] == [
            style.POSITIVE,
            style.NEGATIVE,
        ]

    def test_branches_are_as_wide_as_what_passes(self):
        tree = tables()["root_tree.csv"]
        tree = tree[tree["sample"] == min(SAMPLES)].set_index("node")
        (axes,) = root_tree(self.picture_tables()).axes
        drawn = self.edges(axes)
        passed = tree["passed"].to_numpy()
        strong = np.sort(np.abs(passed)[np.abs(passed) > 0.1 * np.abs(passed).max()])
        widths = np.array(drawn.get_linewidths())
        assert len(widths) == len(tree)
        assert widths[-len(strong) :] / widths.max() == pytest.approx(strong / strong.max())
        place = heights(tree)
        ends = {tuple(np.round([*s[0], *s[-1]], 9)) for s in drawn.get_segments()}
        assert ends == {
            tuple(np.round([r.layer - 1, place[-1 if pd.isna(r.parent) else r.parent]], 9))
            + tuple(np.round([r.layer, place[n]], 9))
            for n, r in zip(tree.index, tree.itertuples(), strict=True)
        }

    def test_roots_have_the_colour_of_their_status(self):
        tree = tables()["root_tree.csv"]
        tree = tree[tree["sample"] == min(SAMPLES)]
        (axes,) = root_tree(self.picture_tables()).axes
        _, marks = [c for c in axes.collections if isinstance(c, PathCollection)]
        got = [to_hex(c) for c in marks.get_facecolors()]
        assert got == [style.STATUS_COLOURS[s].lower() for s in tree["status"]]

    def test_leaves_lie_below_each_other_and_parents_between(self):
        tree = pd.DataFrame({"parent": [None, None, 0, 0, 1]}, index=range(5))
        assert heights(tree) == {2: 0, 3: 1, 0: 0.5, 4: 2, 1: 2, -1: 1.25}

    def test_of_large_trees_the_strongest_branches(self):
        tree = tables()["root_tree.csv"].query("sample == 1")
        count = 2 * MOST_NODES
        many = pd.concat([tree.head(1)] * count).assign(node=range(count), passed=1.0)
        many = many.assign(parent=[np.nan, *[0] * (count - 1)])
        many.loc[many["node"] == count - 1, "passed"] = 5.0
        many.loc[many["node"] == 0, "passed"] = 0.1
        drawn = strongest(many.set_index("node"))
        # The strongest of all, and what it is nested in, however little passes there.
        assert len(drawn) == MOST_NODES
        assert {0, count - 1} <= set(drawn.index)
        picture = root_tree(Tables(root_tree=many))
        assert f"the {MOST_NODES} strongest of {count}" in picture.get_suptitle()

    def test_of_many_units_those_with_an_edge(self):
        pairs = [(i, j) for i in range(40) for j in range(2)]
        flows = pd.DataFrame(pairs, columns=["lower", "upper"]).assign(
            method="recursive", sample=0, layer=0, relevance=[1.0 * (i < 5) for i, _ in pairs]
        )
        (axes,) = path_graph(Tables(flows=flows)).axes
        assert [t.get_text() for t in axes.texts] == ["0", "1", "2", "3", "4", "0", "1"]

    def test_without_paths_none(self):
        assert path_graph(Tables()) is None
        assert root_tree(Tables()) is None


def test_steps_of_limits_are_in_the_tree():
    """Without biases every derivative below the output is a limit."""
    net, x = random_network((3, 4, 1), 3, "zero"), positive_input(3, 3, 1)
    steps = recursion(net, "x").plans
    (paths,) = PATHS["recursive"](Problem(net, 0, x, Scheme.of(steps), MANY, steps[0]))
    first, second = paths.tree
    assert (first.stencil.epsilon > 0).all()
    assert torch.equal(second.stencil.epsilon, torch.zeros_like(second.stencil.epsilon))


@pytest.mark.parametrize(
    "seeds", [(6, 7, 9), pytest.param(range(12), marks=pytest.mark.exhaustive)], ids=["few", "all"]
)
def test_a_root_that_is_expanded_from_several_points_is_listed_once(seeds):
    seen = 0
    for seed in seeds:
        net, x = random_network((3, 4, 3, 1), seed, "positive"), positive_input(3, seed, 2)
        steps = recursion(net, "gamma").plans
        (paths,) = PATHS["recursive"](Problem(net, 0, x, Scheme.of(steps), MANY, steps[0]))
        part = MethodPaths("recursive", 0, np.arange(2), paths)
        tree = path_tables([part], 5)["root_tree.csv"].set_index(["sample", "node"])
        seen += sum(int((level.stencil.epsilon > 0).sum()) for level in paths.tree)
        expanded = tree[tree["epsilon"].notna()]
        parents = pd.MultiIndex.from_arrays(
            [tree.index.get_level_values("sample"), tree["parent"].fillna(-1).astype(int)]
        )
        for key, row in expanded.iterrows():
            children = tree[parents == key]
            units = {0: 3, 1: 1, 2: 0}[row["layer"]]
            assert children["neuron"].tolist() == list(range(units))
            assert (children["layer"] == row["layer"] + 1).all()
        assert (
            len(tree) == 2 * 4 + 3 * (expanded["layer"] == 0).sum() + (expanded["layer"] == 1).sum()
        )
        # What all points of a root pass on, once.
        roots = tree[tree["layer"] == 0]
        assert roots["passed"].sum() == pytest.approx(paths.relevance.sum().item(), rel=1e-9)
    assert seen
