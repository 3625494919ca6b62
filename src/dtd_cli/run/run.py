"""One run, from a configuration to the files in its folder."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pandas as pd
import torch

from dtd.explainer.explainer import DTD
from dtd.explainer.objections import check_paths, check_visits
from dtd.networks.files.state_dicts import save
from dtd_cli.config.config import Config
from dtd_cli.config.errors import SettingError
from dtd_cli.records.closing import closing
from dtd_cli.records.environment import environment
from dtd_cli.records.folder import PLOTS, RunFolder
from dtd_cli.records.paths import path_tables
from dtd_cli.records.region_map import MapRequest, map_request, regions_table
from dtd_cli.records.summary import summary
from dtd_cli.records.tables import tables
from dtd_cli.run.explanations import Explanations, Way, explain, explainers, paths
from dtd_cli.run.preparation import Prepared, prepare
from dtd_cli.run.selection import rows_named
from dtd_cli.run.studies import STUDIES

log = logging.getLogger(__name__)

_NETWORK, _SUMMARY = "network.safetensors", "summary.json"
_ENVIRONMENT = "environment.json"


def run(
    config: Config, folder: RunFolder, pictures: bool, check_unchanged: Callable[[], None]
) -> None:
    """Explain what the configuration names, and write the run's folder, all but ``DONE``.

    Args:
        config: what is explained, and how.
        folder: where the run writes.
        pictures: whether it draws.
        check_unchanged: refuses a run whose files changed while they were read.

    Raises:
        InvalidSetting: what the settings ask for cannot be.
    """
    torch.set_num_threads(config.top.threads)
    _check_studies(config)
    durations: dict[str, float] = {}
    with _timed(durations, "prepare"):
        prepared = prepare(config)
        _check_regions(config, prepared)
        ways = explainers(config, prepared)
        _check_visits(config, prepared, ways)
        if Way("recursive") in ways:
            # Roots that are made for a sample are refused here, where they cannot be made.
            problems = prepared.explainer.problems(prepared.x, prepared.targets)
            tuple(problem.plans for _, problem, _ in problems)
        if config.relevance.paths and Way("recursive") in ways:
            check_paths(prepared.network, config.relevance.max_paths)
        mapped = map_request(config.region_map, prepared)
        if pictures:
            _check_plots(config, prepared)
    check_unchanged()
    folder.start()
    if config.network.assumed:
        log.info(config.network.assumed)
    for note in prepared.notes:
        log.info(note)
    log.info(
        "explaining %d of %d samples, network %s",
        int(prepared.explained.sum()),
        len(prepared.x),
        "-".join(map(str, prepared.network.widths)),
    )
    _log_forecast(prepared, ways)
    with _timed(durations, "explain"), rows_named(prepared.names, prepared.rows):
        explanations = explain(ways, prepared.x, prepared.target)
        of_paths = path_tables(paths(config, prepared), config.relevance.top)
    with _timed(durations, "write"):
        figures = write(folder, prepared, explanations, of_paths, mapped, config.top.studies)
    if pictures:
        with _timed(durations, "draw"):
            # Matplotlib is slow to import, and only needed here.
            from dtd_cli.plots import Tables, draw, files

            folder.expect(*(f"{PLOTS}/{name}" for name in files(config.plots)))
            draw(Tables.read(folder.path), folder.path / PLOTS, config.plots)
    came = environment(config.top.seed, config.device, durations, prepared.network)
    folder.write_json(_ENVIRONMENT, came)
    for line in closing(figures):
        log.info(line)
    for text in figures["warnings"]:
        log.warning("warning: %s", text)
    log.info("done in %.1f s: %s", sum(durations.values()), folder.path)


def write(
    folder: RunFolder,
    prepared: Prepared,
    explanations: Explanations,
    of_paths: Mapping[str, pd.DataFrame],
    mapped: MapRequest | None,
    studies: list[str],
) -> dict[str, Any]:
    """Write all tables of the run, its summary and the network, and give the summary."""
    parts = [part for result in explanations.values() for part in result.parts]
    written = tables(prepared, parts) | dict(of_paths)
    if mapped:
        written["regions.csv"] = regions_table(mapped, prepared, written["root_points.csv"])
    for name in studies:
        written[f"{name}.csv"] = STUDIES[name](prepared, explanations)
    folder.expect(*written, _NETWORK, _SUMMARY, _ENVIRONMENT)
    for name, table in written.items():
        folder.write_table(name, table)
    folder.write(_NETWORK, lambda path: save(prepared.network, path))
    figures = summary(prepared, parts, written)
    folder.write_json(_SUMMARY, figures)
    return figures


def _check_studies(config: Config) -> None:
    """Refuse studies that are unknown, or need relevances that the run does not have."""
    studies, methods = config.top.studies, config.relevance.methods
    if set(studies) - set(STUDIES) or len(set(studies)) < len(studies):
        raise SettingError(
            "studies", studies, f"allowed is a list of some of {', '.join(STUDIES)}, each once"
        )
    for study in {"published_roots", "upper_relevance"} & set(studies):
        if "train_free" not in methods:
            raise SettingError(
                "studies", studies, f"{study} needs train_free among the relevance.methods"
            )


def _check_plots(config: Config, prepared: Prepared) -> None:
    """Refuse pictures of what the run will not have."""
    samples = prepared.explained.nonzero().flatten().tolist()
    shapes = enumerate(prepared.network.shapes)
    images = [layer for layer, shape in shapes if len(shape) > 1]
    config.plots.check(samples, config.relevance.methods, images)


def _check_regions(config: Config, prepared: Prepared) -> None:
    """Refuse a study of linear regions where there is max pooling."""
    affine = all(layer.is_affine for layer in prepared.network.layers)
    if "region_size" in config.top.studies and not affine:
        raise SettingError(
            "studies",
            config.top.studies,
            "region_size is for affine layers, and the network has max pooling; allowed are the "
            "other studies, or a network without, as with network.pooling=avg",
        )


def _check_visits(config: Config, prepared: Prepared, ways: Mapping[Way, DTD]) -> None:
    """Refuse a run whose recursions would not end."""
    samples = int(prepared.explained.sum())
    visits = sum(explainer.points_visited(samples) for explainer in ways.values())
    if config.relevance.paths and Way("recursive") in ways:
        # Paths follow the recursion from every layer on.
        visits += prepared.network.depth * ways[Way("recursive")].points_visited(samples)
    check_visits(prepared.network, samples, visits, config.relevance.max_visits)


def _log_forecast(prepared: Prepared, ways: Mapping[Way, DTD]) -> None:
    """Say in the log, before they are drawn, how many paths are sampled and how long it takes."""
    for explainer in ways.values():
        forecast = explainer.forecast(prepared.x, prepared.targets)
        if forecast:
            log.info(
                "sampling %s%d paths for each layer of each sample: about %.0f s, more where they "
                "meet one-sided limits",
                "up to about " if forecast.varies else "",
                forecast.paths,
                max(1, forecast.seconds),
            )


@contextmanager
def _timed(durations: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    durations[name] = time.perf_counter() - start
