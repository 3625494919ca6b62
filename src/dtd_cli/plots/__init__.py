"""Pictures of a run, drawn from its CSV files alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import dtd_cli.plots.plain  # noqa: F401
from dtd_cli.plots import nested, studies, style
from dtd_cli.plots.heatmaps import heatmaps
from dtd_cli.plots.interactions import interactions
from dtd_cli.plots.ledger import ledger
from dtd_cli.plots.path_graph import path_graph
from dtd_cli.plots.region_map import region_map
from dtd_cli.plots.relevance_bars import relevance_bars
from dtd_cli.plots.root_status import root_status
from dtd_cli.plots.root_tree import root_tree
from dtd_cli.plots.roots import roots
from dtd_cli.plots.search_lines import search_lines
from dtd_cli.plots.series import series
from dtd_cli.plots.strategies import strategies
from dtd_cli.plots.tables import Tables

if TYPE_CHECKING:
    # Not before it was imported as it comes.
    from matplotlib.figure import Figure

__all__ = ["PICTURES", "Tables", "draw"]

PICTURES: dict[str, Callable[[Tables], Figure | None]] = {
    "heatmaps.png": heatmaps,
    "relevance_bars.png": relevance_bars,
    "ledger.png": ledger,
    "series.png": series,
    "interactions.png": interactions,
    "search_lines.png": search_lines,
    "roots.png": roots,
    "root_status.png": root_status,
    "region_map.png": region_map,
    "strategies.png": strategies,
    "path_graph.png": path_graph,
    "root_tree.png": root_tree,
    "agreement.png": studies.agreement,
    "continuity.png": studies.continuity,
    "output_scaling.png": studies.output_scaling,
    "published_roots.png": studies.published_roots,
    "rank_collapse.png": studies.rank_collapse,
    "region_size.png": nested.region_size,
    "nested_roots.png": nested.nested_roots,
    "summed_root.png": nested.summed_root,
}
"""A picture's file, and the function that draws it or says with ``None`` that it does not apply."""


def draw(folder: Path) -> list[Path]:
    """Draw every picture that applies to the run in ``folder`` into its folder ``plots``.

    Each file appears whole or not at all. A picture of an earlier drawing that no longer applies
    is removed.
    """
    tables = Tables.read(folder)
    drawn = []
    for name, picture in PICTURES.items():
        path = folder / "plots" / name
        figure = picture(tables)
        if figure is None:
            path.unlink(missing_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        style.save(figure, path)
        drawn.append(path)
    return drawn
