"""``paths.csv``, ``flows.csv``, ``root_tree.csv``: relevance by the paths that it takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dtd.explainer.frames import in_order, names, numbers
from dtd.relevance.limits.state import LimitState, states
from dtd.relevance.paths.paths import Paths
from dtd.relevance.root_tree import Level, RootTree
from dtd.roots.contract import Status

REST = "rest"
"""The rank of the sum of all paths that are not listed."""


@dataclass(frozen=True, eq=False)
class MethodPaths:
    """The paths of one method for the samples (B,) whose explained output is the same."""

    method: str
    output: int
    samples: np.ndarray
    paths: Paths


def path_tables(parts: Iterable[MethodPaths], top: int) -> dict[str, pd.DataFrame]:
    """The tables of all paths; each part is read once and not kept.

    Args:
        parts: the methods in their order, each with all samples.
        top: how many paths of a sample are listed.
    """
    frames: dict[str, list[pd.DataFrame]] = {}
    for part in parts:
        frames.setdefault("paths.csv", []).append(_paths(part, top))
        frames.setdefault("flows.csv", []).append(_flows(part))
        if part.paths.tree is not None:
            rows = _passed_on(part, part.paths.tree)
            frames.setdefault("root_tree.csv", []).append(rows)
    return {
        name: in_order(tables, [key for key in ("method", "sample") if key in tables[0]])
        for name, tables in frames.items()
    }


def _paths(part: MethodPaths, top: int) -> pd.DataFrame:
    tables = []
    for sample, strongest in zip(part.samples, part.paths.strongest(top), strict=True):
        # A path on which no relevance arrives has no rank.
        listed = strongest.relevance != 0
        units = strongest.units[listed].cpu().numpy()
        count = int(listed.sum())
        columns = {f"unit_{layer}": unit for layer, unit in enumerate(units.T)}
        columns[f"unit_{units.shape[1]}"] = np.full(count, part.output)
        table = pd.DataFrame(columns, dtype="Int64").reindex(range(count + 1))
        ranks = [*map(str, range(1, count + 1)), REST]
        relevance = torch.cat([strongest.relevance[listed], strongest.rest.view(1)])
        table.insert(0, "method", part.method)
        table.insert(1, "sample", sample)
        table.insert(2, "rank", ranks)
        tables.append(table.assign(relevance=numbers(relevance)))
    return pd.concat(tables)


def _flows(part: MethodPaths) -> pd.DataFrame:
    """The sum of the paths through each pair of units that are neighbours on it."""
    tables = []
    for row, sample in enumerate(part.samples):
        for layer, flow in enumerate(part.paths.flows(row)):
            lower, upper = flow.shape
            tables.append(
                pd.DataFrame(
                    {
                        "method": part.method,
                        "sample": sample,
                        "layer": layer,
                        "lower": np.repeat(np.arange(lower), upper),
                        "upper": np.tile(np.arange(upper), lower),
                        "relevance": numbers(flow).ravel(),
                    }
                )
            )
        tables[-1]["upper"] = part.output
    return pd.concat(tables)


class _Listed(NamedTuple):
    """The M anchors of a level that are listed."""

    anchor: Tensor
    """(M,), their numbers in the level."""
    path: tuple[Tensor, ...]
    """The sample, and the units whose roots led to the anchor, each (M,)."""
    parent: Tensor
    """(M,), the row of the root whose image the anchor is."""


def _passed_on(part: MethodPaths, tree: RootTree) -> pd.DataFrame:
    """The roots, and the relevance of the paths through each."""
    through = part.paths.relevance.sum(1)
    columns = []
    for level, listed in _listed(tree):
        above = tuple(range(len(listed.path) + 1, through.dim()))
        passed = (through.sum(above) if above else through)[listed.path]
        contributes = level.roots.contributes[listed.anchor].view_as(passed)
        columns.append(passed.where(contributes, 0).flatten())
    table = root_table(tree, part.samples, part.output)
    return table.assign(passed=numbers(torch.cat(columns)))


def root_table(tree: RootTree, samples: np.ndarray, output: int) -> pd.DataFrame:
    """All roots of a tree, whatever became of them, level by level.

    ``samples`` (B,) are the numbers of the anchors of its first level, ``output`` that of the
    explained output.
    """
    tables = [_roots(level, listed, samples) for level, listed in _listed(tree)]
    tables[-1]["neuron"] = output
    table = pd.concat(tables, ignore_index=True)
    node = table.groupby("sample").cumcount()
    rooted = table["parent"] >= 0
    table["parent"] = node.reindex(table["parent"]).set_axis(table.index).where(rooted)
    table.insert(1, "node", node)
    return table.astype({"parent": "Int64"})


def _listed(tree: RootTree) -> Iterator[tuple[Level, _Listed]]:
    """Every level, and those of its anchors that are listed."""
    sample = torch.arange(len(tree[0].anchors), device=tree[0].anchors.device)
    listed, rows = _Listed(sample, (sample,), torch.full_like(sample, -1)), 0
    for level in tree:
        yield level, listed
        count = len(listed.anchor) * level.relevance.shape[1]
        listed, rows = _images(level, listed, rows), rows + count


def _roots(level: Level, listed: _Listed, samples: np.ndarray) -> pd.DataFrame:
    """The roots of all units for the anchors that are listed."""
    anchors, units = len(listed.anchor), level.relevance.shape[1]
    contributes = level.roots.contributes[listed.anchor]
    points = level.roots.points[listed.anchor]
    distance = (level.anchors[listed.anchor].unsqueeze(1) - points).norm(dim=2)
    nearest = level.nearest
    epsilon = torch.full_like(level.relevance, torch.nan)
    epsilon[level.anchor[nearest], level.unit[nearest]] = level.stencil.epsilon[nearest]
    return pd.DataFrame(
        {
            "sample": np.repeat(samples[listed.path[0].cpu().numpy()], units),
            "parent": np.repeat(listed.parent.cpu().numpy(), units),
            "layer": level.start,
            "neuron": np.tile(np.arange(units), anchors),
            "status": names(level.roots.status[listed.anchor], Status),
            "relevance": numbers(level.relevance[listed.anchor]).ravel(),
            "limits": np.repeat(names(states(level.limit_error[listed.anchor]), LimitState), units),
            "distance": numbers(distance.where(contributes, torch.nan)).ravel(),
            "epsilon": numbers(epsilon[listed.anchor]).ravel(),
        }
    )


def _images(level: Level, listed: _Listed, rows: int) -> _Listed:
    """The anchors of the next level to which the listed ones lead, given the rows before theirs.

    A root that is expanded from several points leads to the images of all of them; that of the
    point nearest to it is listed.
    """
    place = torch.full_like(level.relevance[:, 0], -1, dtype=torch.long)
    place[listed.anchor] = torch.arange(len(listed.anchor), device=place.device)
    point = level.nearest
    point = point[place[level.anchor[point]] >= 0]
    row, unit = place[level.anchor[point]], level.unit[point]
    path = (*(column[row] for column in listed.path), unit)
    return _Listed(point, path, rows + row * level.relevance.shape[1] + unit)
