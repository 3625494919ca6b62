"""The ledger and the evidence of a run, row by row, against the network that it wrote."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from dtd.roots.contract import Status
from test_cli import dtd_run

RULES = ["z+", "w2", "gamma", "x"]


@pytest.fixture(scope="module", params=[*RULES, "random"])
def folder(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("ledger") / "run"
    choice = ["input_roots=random"] if request.param == "random" else [f"rule={request.param}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path.parent)
        arguments = ["network.hidden=[5]", "network.outputs=2", "network.init=nonpositive_bias",
                     "training=none", "inputs=positive", "inputs.features=4", "inputs.n=5",
                     "inputs.threshold=0.01", "seed=1", "plots=none", "progress=false"]  # fmt: skip
        assert dtd_run(patch, *arguments, *choice, f"hydra.run.dir={path}") == 0
    return path


@pytest.fixture
def net(folder):
    return {
        k: v.numpy().astype(float) for k, v in load_file(folder / "network.safetensors").items()
    }


def read(folder, name):
    return pd.read_csv(folder / f"{name}.csv")


def close(got, want):
    return np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)


def forward(net, layer, a):
    """Pre-activations from ``layer`` up, and the outputs."""
    zs = []
    for index in range(layer, 2):
        zs.append(net[f"{2 * index}.weight"] @ a + net[f"{2 * index}.bias"])
        a = np.maximum(zs[-1], 0)
    return zs, a


def gradient(net, layer, gates, output):
    """∇f with these gates, from the output down to ``layer``."""
    row = np.eye(2)[output]
    for index in reversed(range(layer, 2)):
        row = (row * gates[index - layer]) @ net[f"{2 * index}.weight"]
    return row


def test_every_row_balances(folder):
    table = read(folder, "layers")
    total = table["relevance_sum"] + table["zero_order"] + table["unresolved"] + table["remainder"]
    close(total, table["upper_sum"])
    assert (table["order"] == 2 - table["layer"]).all()
    assert not table.isna().any().any()


def test_sums_are_those_of_the_relevance(folder):
    relevance = read(folder, "relevance")
    keys = ["method", "sample", "layer"]
    sums = relevance.groupby(keys)["relevance"].sum()
    negative = relevance.assign(relevance=relevance["relevance"].clip(upper=0))
    negative = negative.groupby(keys)["relevance"].sum()
    for row in read(folder, "layers").itertuples():
        close(row.relevance_sum, sums[row.method, row.sample, row.layer])
        close(row.upper_sum, sums[row.method, row.sample, row.layer + 1])
        close(row.negative_sum, negative[row.method, row.sample, row.layer])


def test_zero_order_and_unresolved_unit_by_unit(folder):
    """The evidence says of each unit what it kept at its root, or that it has none."""
    roots, layers = read(folder, "roots"), read(folder, "layers")
    finder = "random" if "random" in set(roots["finder"]) else "closed_form"
    for row in layers[layers["method"] == "recursive"].itertuples():
        units = roots[(roots["sample"] == row.sample) & (roots["layer"] == row.layer)]
        if row.layer == 0:
            units = units[units["finder"] == finder]
        rooted = units["status"].isin(["found", "approximate"])
        close(row.zero_order, units.loc[rooted, "residual"].sum())
        close(row.unresolved, units.loc[~rooted, "relevance"].sum())
        close(row.upper_sum, units["relevance"].sum())
    others = layers[layers["method"] == "gradient_x_input"]
    assert (others[["zero_order", "unresolved"]] == 0).all(axis=None)


def test_the_top_layer_by_hand(folder, net):
    """h is linear in the open branch, and f at the anchor: root, residual and remainder."""
    layers, inputs = read(folder, "layers"), read(folder, "inputs").set_index("sample")
    top = layers[(layers["method"] == "recursive") & (layers["layer"] == 1)]
    points = read(folder, "root_points")
    points = points[points["layer"] == 1]
    for row in top.itertuples():
        x = inputs.loc[row.sample, ["x1", "x2", "x3", "x4"]].to_numpy(float)
        f = inputs.loc[row.sample, "f"]
        output = int(inputs.loc[row.sample, "output"])
        (z, _), a = forward(net, 0, x)
        close(a[output], f)
        root = points[points["sample"] == row.sample].sort_values("index")["value"].to_numpy()
        w, b = net["2.weight"][output], net["2.bias"][output]
        assert abs(w @ root + b) < 1e-12
        close(row.relevance_sum, w @ (np.maximum(z, 0) - root))
        close([row.upper_sum, row.zero_order, row.unresolved], [f, 0, 0])


def test_evidence_against_the_network(folder, net):
    roots, inputs = read(folder, "roots"), read(folder, "inputs").set_index("sample")
    keys = ["sample", "layer", "neuron", "finder"]
    points = read(folder, "root_points").sort_values([*keys, "index"])
    points = {key: part["value"].to_numpy() for key, part in points.groupby(keys)}
    seen = 0
    for row in roots.itertuples():
        key = (row.sample, row.layer, row.neuron, row.finder)
        assert (key in points) == (row.status in ("found", "approximate"))
        if key not in points:
            assert pd.isna(row.distance)
            assert pd.isna(row.same_region)
            continue
        x = inputs.loc[row.sample, ["x1", "x2", "x3", "x4"]].to_numpy(float)
        output = int(inputs.loc[row.sample, "output"])
        a = x if row.layer == 0 else np.maximum(forward(net, 0, x)[0][0], 0)
        at, (here, f) = forward(net, row.layer, points[key]), forward(net, row.layer, a)
        close(row.distance, np.sqrt(((a - points[key]) ** 2).sum()))
        close(row.output_change, at[1][output] - f[output])
        assert row.admissible == (points[key] >= -1e-12).all()
        # A region is closed: a gate at its kink is that of the anchor.
        anchor = [z > 0 for z in here]
        gates = [
            np.where(abs(z) < 1e-12, gate, z > 0) for z, gate in zip(at[0], anchor, strict=True)
        ]
        if row.finder == "random" and any((abs(z) < 1e-9).any() for z in at[0]):
            continue
        gap = gradient(net, row.layer, gates, output) - gradient(net, row.layer, anchor, output)
        close(row.gradient_gap, abs(gap).max())
        same = [p == q for p, q in zip(gates, anchor, strict=True)]
        same[0][row.neuron] = True
        assert row.same_region == all(flags.all() for flags in same)
        if row.same_region and row.finder == "closed_form":
            assert row.gradient_gap == 0
        seen += 1
    assert seen >= 8


def test_the_statuses(folder):
    roots = read(folder, "roots")
    assert set(roots["status"]) <= {status.name.lower() for status in Status}
    found = roots[roots["status"] == "found"]
    f = read(folder, "inputs").set_index("sample")["f"]
    assert (found["residual"].abs() <= 1e-9 * found["sample"].map(f) + 1e-15).all() or (
        "random" in set(roots["finder"])
    )
    assert torch.tensor((roots["evaluations"] >= 0).to_numpy()).all()
