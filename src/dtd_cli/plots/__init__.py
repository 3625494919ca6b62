"""Pictures of a run, drawn from its CSV files alone."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

import dtd_cli.plots.plain  # noqa: F401
from dtd_cli.config.plots import Plots
from dtd_cli.plots import nested, studies, style
from dtd_cli.plots.fonts import fonts
from dtd_cli.plots.heatmaps import heatmaps, layer_heatmaps
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
from dtd_cli.records.files import write_whole

if TYPE_CHECKING:
    # Not before it was imported as it comes.
    from matplotlib.figure import Figure

__all__ = ["PICTURES", "Tables", "draw", "files"]

PICTURES: dict[str, Callable[[Tables, Plots], Figure | None]] = {
    "heatmaps": heatmaps,
    "layer_heatmaps": layer_heatmaps,
    "relevance_bars": relevance_bars,
    "ledger": ledger,
    "series": series,
    "interactions": interactions,
    "search_lines": search_lines,
    "roots": roots,
    "root_status": root_status,
    "region_map": region_map,
    "strategies": strategies,
    "path_graph": path_graph,
    "root_tree": root_tree,
    "agreement": studies.agreement,
    "continuity": studies.continuity,
    "output_scaling": studies.output_scaling,
    "published_roots": studies.published_roots,
    "upper_relevance": studies.upper_relevance,
    "rank_collapse": studies.rank_collapse,
    "region_size": nested.region_size,
    "summed_root": nested.summed_root,
}
"""A picture's name, and the function that draws it or says with ``None`` that it does not apply."""


def files(plots: Plots, names: Collection[str] = tuple(PICTURES)) -> list[str]:
    """What the files of these pictures and of their captions are called."""
    return [f"{name}.{suffix}" for name in names for suffix in (plots.format, "txt")]


def draw(
    tables: Tables,
    folder: Path,
    plots: Plots = style.SCREEN,
    names: Collection[str] = tuple(PICTURES),
) -> list[Path]:
    """Draw those of these pictures that apply to the run's ``tables`` into ``folder``.

    Each has its caption beside it, as a text file. Each file appears whole or not at all.
    """
    tables = tables.of(plots.samples, plots.methods)
    drawn = []
    with fonts(plots.font):
        for name in names:
            path, caption = (folder / file for file in files(plots, [name]))
            figure = PICTURES[name](tables, plots)
            if figure is None:
                continue
            folder.mkdir(parents=True, exist_ok=True)
            style.save(figure, path, plots.dpi)
            _write(caption, getattr(figure, "caption", ""))
            drawn.append(path)
    return drawn


def _write(path: Path, text: str) -> None:
    write_whole(path, lambda place: place.write_text(f"{text}\n", encoding="utf-8"))
