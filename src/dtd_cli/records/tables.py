"""All tables of a run, by their files."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from dtd.explainer.explained import Explained
from dtd.explainer.frames import interactions_frame, ledger_frame, numbers, relevance_frame
from dtd.explainer.root_frames import root_points_frame, roots_frame
from dtd_cli.inputs.source import Scaling
from dtd_cli.records.searches import (
    chains_table,
    search_lines_table,
    search_roots_table,
    solutions_table,
)
from dtd_cli.records.strategies import strategies_table
from dtd_cli.run.preparation import Prepared

OPTIONAL: dict[str, Callable[[Sequence[Explained]], pd.DataFrame]] = {
    "search_lines.csv": search_lines_table,
    "search_roots.csv": search_roots_table,
    "chains.csv": chains_table,
    "solutions.csv": solutions_table,
    "interactions.csv": interactions_frame,
}
"""Tables that a run has if they have rows."""


def tables(prepared: Prepared, parts: Sequence[Explained]) -> dict[str, pd.DataFrame]:
    """The tables of what ``parts`` explain; those that need more are made elsewhere."""
    layers, roots = ledger_frame(parts), roots_frame(parts)
    made = {
        "relevance.csv": _in_units_of_the_data(
            relevance_frame(parts, prepared.prescription), "activation", "neuron", prepared.scaling
        ),
        "layers.csv": layers,
        "roots.csv": roots,
        "root_points.csv": _in_units_of_the_data(
            root_points_frame(parts), "value", "index", prepared.scaling
        ),
        "inputs.csv": inputs_table(prepared),
    }
    made |= images_table(prepared.network.shapes)
    optional = {name: table(parts) for name, table in OPTIONAL.items()}
    if len(roots[["method", "finder"]].drop_duplicates()) > 1:
        optional["strategies.csv"] = strategies_table(roots, layers)
    return made | {name: table for name, table in optional.items() if not table.empty}


def images_table(shapes: Sequence[Sequence[int]]) -> dict[str, pd.DataFrame]:
    """``images.csv``, where there is convolution: the layers whose activations are images."""
    rows = [
        (layer, shape[0], *(1, *shape[1:])[-2:])
        for layer, shape in enumerate(shapes)
        if len(shape) > 1
    ]
    columns = ["layer", "channels", "height", "width"]
    return {"images.csv": pd.DataFrame(rows, columns=columns)} if rows else {}


def inputs_table(prepared: Prepared) -> pd.DataFrame:
    """``inputs.csv``: one sample a row, with the output that is explained and its features."""
    rows = prepared.rows
    unknown = [""] * len(prepared.x)
    head = pd.DataFrame(
        {
            "sample": np.arange(len(prepared.x)),
            "status": np.where(numbers(prepared.explained), "explained", "skipped"),
            "output": list(map(str, prepared.outputs)),
            "f": numbers(prepared.f),
            "class": prepared.explained_classes,
            "predicted": prepared.predicted,
            "label": rows.label if rows else unknown,
            "row": rows.numbers if rows else unknown,
            "index": rows.index if rows else unknown,
            "part": rows.part if rows else unknown,
        }
    )
    features = pd.DataFrame(numbers(prepared.features), columns=list(prepared.names))
    return pd.concat([head, features], axis=1)


def _in_units_of_the_data(
    table: pd.DataFrame, value: str, unit: str, scaling: Scaling | None
) -> pd.DataFrame:
    """A table in which inputs are no longer standardised."""
    # A table without rows has no types.
    if scaling is None or table.empty:
        return table
    inputs = (table["layer"] == 0).to_numpy()
    mean, deviation = numbers(scaling.mean), numbers(scaling.deviation)
    of = table.loc[inputs, unit].to_numpy()
    own = table[value].to_numpy(copy=True)
    own[inputs] = own[inputs] * deviation[of] + mean[of]
    return table.assign(**{value: own})
