"""One run, from a configuration to the files in its folder."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pandas as pd
import torch

from dtd.relevance import METHODS, Explanation, Problem, recursive, sampled
from dtd.relevance.cost import points_visited
from dtd.relevance.paths import PATHS, path_count
from dtd_cli.config.config import Config
from dtd_cli.config.errors import SettingError
from dtd_cli.config.settings import MONTE_CARLO
from dtd_cli.networks.files import write_network
from dtd_cli.records.environment import environment
from dtd_cli.records.folder import RunFolder
from dtd_cli.records.paths import MethodPaths, path_tables
from dtd_cli.records.region_map import MapRequest, map_request, regions_table
from dtd_cli.records.rows import Explained
from dtd_cli.records.summary import limits, summary
from dtd_cli.records.tables import tables
from dtd_cli.run.preparation import Prepared, prepare
from dtd_cli.run.progress import bars
from dtd_cli.run.studies import STUDIES

log = logging.getLogger(__name__)


def run(config: Config, folder: RunFolder, pictures: bool) -> None:
    """Explain what the configuration names, and write the run's folder.

    Raises:
        SettingError: what the settings ask for cannot be.
    """
    torch.set_num_threads(config.top.threads)
    _check_studies(config)
    durations: dict[str, float] = {}
    with _timed(durations, "prepare"):
        prepared = prepare(config)
        _check_cost(config, prepared)
        # Roots that are made for a sample are refused here, where they cannot be made.
        list(_problems(config, prepared))
        _check_paths(config, prepared)
        mapped = map_request(config.region_map, prepared)
    folder.start()
    log.info(
        "explaining %d of %d samples, network %s",
        int(prepared.explained.sum()),
        len(prepared.x),
        "-".join(map(str, prepared.network.widths)),
    )
    with _timed(durations, "explain"):
        parts = explain(config, prepared)
        paths = path_tables(_paths(config, prepared), config.relevance.top)
    with _timed(durations, "write"):
        write(folder, prepared, parts, paths, mapped, config.top.studies)
    if pictures:
        with _timed(durations, "draw"):
            # Matplotlib is slow to import, and only needed here.
            from dtd_cli.plots import draw

            draw(folder.path)
    folder.write_json("environment.json", environment(config.top.seed, config.device, durations))
    folder.done()
    log.info("done in %.1f s: %s", sum(durations.values()), folder.path)


def explain(config: Config, prepared: Prepared) -> list[Explained]:
    """Every method on all samples that have something to explain, grouped by their output."""
    parts = []
    methods = METHODS
    if config.relevance.estimator == MONTE_CARLO:
        estimate = partial(sampled, walks=config.relevance.sampled_paths, seed=config.top.seed)
        methods = METHODS | {"recursive": estimate}
    for method in config.relevance.methods:
        for problem, samples in _problems(config, prepared):
            parts.append(_explained(method, samples, problem, methods[method](problem)))
    for label, plans in prepared.compared.items():
        for problem, samples in _problems(config, prepared):
            explanation = recursive(replace(problem, plans=plans, interactions=False))
            # The roots of the other layers are those of the first recursion.
            explanation = replace(explanation, evidence={0: explanation.evidence[0][:1]})
            parts.append(_explained(f"recursive_{label}", samples, problem, explanation))
    return parts


def write(
    folder: RunFolder,
    prepared: Prepared,
    parts: list[Explained],
    paths: dict[str, pd.DataFrame],
    mapped: MapRequest | None,
    studies: list[str],
) -> None:
    """All tables of the run, its summary and the network."""
    written = tables(prepared, parts) | paths
    if mapped:
        written["regions.csv"] = regions_table(mapped, prepared, written["root_points.csv"])
    for name in studies:
        written[f"{name}.csv"] = STUDIES[name](prepared, written)
    for name, table in written.items():
        folder.write_table(name, table)
    _name_inadmissible(written["roots.csv"])
    for layer, figure in limits(parts).items():
        if figure["limits"]:
            log.info(
                "layer %s: at %d of %d roots, or above them, the derivative is a one-sided limit",
                layer,
                figure["limits"],
                figure["roots"],
            )
    folder.write("network.safetensors", lambda path: write_network(prepared.network, path))
    folder.write_json("summary.json", summary(prepared, written, parts))


def _name_inadmissible(roots: pd.DataFrame) -> None:
    """Say in the log where roots lie outside the domain of their layer."""
    for (layer, finder), group in roots.dropna(subset="admissible").groupby(["layer", "finder"]):
        outside = int((~group["admissible"].astype(bool)).sum())
        if outside:
            log.warning(
                "layer %s: %d of %d %s roots are inadmissible, outside the domain of the layer",
                layer,
                outside,
                len(group),
                finder,
            )


def _problems(config: Config, prepared: Prepared) -> Iterator[tuple[Problem, torch.Tensor]]:
    """The samples with the same explained output together, and their numbers."""
    for output in prepared.outputs[prepared.explained].unique().tolist():
        samples = (prepared.explained & (prepared.outputs == output)).nonzero().squeeze(1)
        problem = Problem(
            network=prepared.network,
            output=output,
            x=prepared.x[samples],
            plans=prepared.plans,
            max_points=config.relevance.max_points,
            track=bars(config.top.progress),
            taylor_plan=prepared.taylor_plan,
            moving_roots=config.relevance.root_dependence == "exact",
            series=config.relevance.series,
            interactions=config.relevance.interactions,
            # Paths add up to what the general way gives, also where limits are approximate.
            factored=not config.relevance.paths,
        )
        if config.input_roots.prescription is None:
            yield problem, samples
        else:
            for sample in samples.split(1):
                yield problem.of_sample(prepared.x[sample]), sample


def _paths(config: Config, prepared: Prepared) -> Iterator[MethodPaths]:
    """The paths of every method that has some, some samples at a time."""
    for method in config.relevance.methods if config.relevance.paths else ():
        for problem, samples in _problems(config, prepared) if method in PATHS else ():
            numbers = samples.cpu().numpy()
            done = 0
            for paths in PATHS[method](problem):
                count = len(paths.relevance)
                yield MethodPaths(method, problem.output, numbers[done : done + count], paths)
                done += count


def _explained(
    method: str, samples: torch.Tensor, problem: Problem, explanation: Explanation
) -> Explained:
    path = problem.network.activations(problem.x)
    return Explained(method, problem.output, samples.cpu().numpy(), path, explanation)


def _check_studies(config: Config) -> None:
    """Refuse studies that are unknown, or need relevances that the run does not have."""
    studies, methods = config.top.studies, config.relevance.methods
    if set(studies) - set(STUDIES) or len(set(studies)) < len(studies):
        raise SettingError(
            "studies", studies, f"allowed is a list of some of {', '.join(STUDIES)}, each once"
        )
    if "published_roots" in studies and "recursive" not in methods:
        raise SettingError(
            "studies", studies, "published_roots needs recursive among the relevance.methods"
        )


def _check_paths(config: Config, prepared: Prepared) -> None:
    """Refuse paths that are too many."""
    paths = path_count(prepared.network)
    if config.relevance.paths and paths > config.relevance.max_paths:
        raise SettingError(
            "relevance.max_paths",
            config.relevance.max_paths,
            f"{'-'.join(map(str, prepared.network.widths))} has {paths} paths to one output; "
            "allowed are a smaller network, relevance.paths=false, or a higher limit",
        )


def _check_cost(config: Config, prepared: Prepared) -> None:
    """Refuse a recursion that would not end."""
    # Paths follow the recursion from every layer on.
    times = 1 + prepared.network.depth * config.relevance.paths
    enumerated = config.relevance.estimator == "enumeration"
    recursive_runs = times * (enumerated and "recursive" in config.relevance.methods)
    recursions = [prepared.plans] * recursive_runs
    recursions += prepared.compared.values()
    samples = int(prepared.explained.sum())
    series = config.relevance.series
    visits = samples * sum(
        points_visited(prepared.network.widths, plans, series) for plans in recursions
    )
    if visits > config.relevance.max_visits:
        raise SettingError(
            "relevance.max_visits",
            config.relevance.max_visits,
            f"the recursion of {samples} samples through "
            f"{'-'.join(map(str, prepared.network.widths))} would visit {visits:.3g} points; "
            "allowed are relevance.estimator=monte_carlo (z+, gamma and x with closed-form roots), "
            "fewer samples (inputs.n), a smaller network, cheaper roots, a lower relevance.degree, "
            "relevance.methods without recursive, or a higher limit",
        )


@contextmanager
def _timed(durations: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    durations[name] = time.perf_counter() - start
