"""What to know before the numbers of a run are believed, in sentences that name a remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pandas as pd

from dtd.explainer.estimators import estimator_of
from dtd.explainer.notes import (
    FAR,
    FEW_PATHS,
    negative_inputs,
    notes_on_loss,
    notes_on_size,
    other_way,
)
from dtd.explainer.reach import Largest
from dtd.roots.closed_form import ClosedForm
from dtd_cli.config.names import in_settings
from dtd_cli.records.limits import UNBOUNDED, UNSETTLED
from dtd_cli.records.methods import named
from dtd_cli.run.preparation import Prepared

_NAMED = 5
"""So many samples are named, and the others counted."""

Tables = Mapping[str, pd.DataFrame]
Figures = Mapping[str, Any]
"""``summary.json`` without its warnings."""


def warnings(prepared: Prepared, tables: Tables, figures: Figures) -> list[str]:
    """The warnings of a run, one sentence or two each."""
    return [text for warn in _WARNINGS for text in warn(prepared, tables, figures)]


def _negative_inputs(prepared: Prepared, tables: Tables, figures: Figures) -> Iterator[str]:
    rule, domain, seen = prepared.scheme.rules[0], prepared.scheme.domains[0], prepared.data
    low, high = float(seen.low.min()), float(seen.high.max())
    if not rule.for_nonnegative or low >= 0:
        return
    features = [name for name, least in zip(prepared.names, seen.low, strict=True) if least < 0]
    contains_origin = domain.is_box and bool(((domain.low <= 0) & (domain.high >= 0)).all())
    box = f" inputs.domain=box inputs.low={low!r} inputs.high={max(high, 0.0)!r}"
    negative = f"{_some(features, 'features')} go down to {low:.3g}"
    yield negative_inputs(rule, negative, "" if contains_origin else box)


def _data_outside(prepared: Prepared, tables: Tables, figures: Figures) -> Iterator[str]:
    domain = prepared.scheme.domains[0]
    # Rounded as the bounds are.
    seen = prepared.data.to(domain.low.dtype, domain.low.device)
    beyond = domain.beyond(seen.low) | domain.beyond(seen.high)
    if beyond.any():
        features = [name for name, out in zip(prepared.names, beyond, strict=True) if out]
        yield (
            f"the data leave the domain of the inputs in {_some(features, 'features')}: rules and "
            "searches that keep to it do not see all that the network has seen; widen inputs.low "
            "and inputs.high"
        )


def _accuracy(prepared: Prepared, tables: Tables, figures: Figures) -> Iterator[str]:
    trained = figures["training"]
    for part, remedy in _BETTER.items():
        if f"{part}_accuracy" not in trained:
            continue
        accuracy, commonest = trained[f"{part}_accuracy"], trained[f"{part}_commonest_class"]
        if accuracy <= commonest:
            yield (
                f"the network is right for {accuracy:.3g} of the {part} rows, and {commonest:.3g} "
                "of them are of the commonest class: it has learned nothing that an explanation "
                f"could show; {remedy}"
            )
        return


_LONGER = "train it longer (training.epochs), with another training.learning_rate or network.hidden"
_BETTER = {
    "test": _LONGER,
    "train": _LONGER,
    "data": "train it (training=adam), or give it the rows as those that it was trained on, scaled "
    "alike (inputs.standardize) and with its classes in the order of its outputs",
}
"""What to do, by the rows that accuracy was measured on."""


def _large_relevance(prepared: Prepared, tables: Tables, figures: Figures) -> Iterator[str]:
    for method, figure in figures["largest_relevance"].items():
        largest = Largest(**figure)
        source = partial(_source, method, largest, tables["roots.csv"])
        for note in notes_on_size(method, largest, source):
            yield f"{method}: {in_settings(note)}"


def _source(method: str, largest: Largest, roots: pd.DataFrame) -> str:
    """The root that most of a relevance comes from, in words to be added; empty without one."""
    roots = named(roots)
    finder = roots["finder"].where(roots["method"] == "recursive", "")
    own = (roots["method"] == method) | ("recursive, " + finder == method)
    at = (roots["sample"] == largest.sample) & (roots["layer"] == largest.layer)
    reaching = roots.assign(reach=roots["gradient_norm"] * roots["distance"])
    used = reaching[own & at].dropna(subset="reach")
    if used.empty:
        return ""
    root = used.iloc[int(used["reach"].argmax())]
    return (
        f"; most of it comes from the root of unit {root['neuron']} of layer {largest.layer + 1}, "
        f"where the residual is {root['residual']:.2g}"
    )


def _large_residuals(prepared: Prepared, tables: Tables, figures: Figures) -> Iterator[str]:
    roots = tables["roots.csv"]
    f = tables["inputs.csv"].set_index("sample")["f"].abs()
    roots = roots.assign(share=roots["residual"].abs() / roots["sample"].map(f))
    # Where roots are searched or made, the closed form stands beside them and is not used.
    searched = [n for n, way in enumerate(prepared.scheme.roots) if way.name != ClosedForm.name]
    beside = (
        (roots["method"] == "recursive")
        & (roots["finder"] == ClosedForm.name)
        & roots["layer"].isin(searched)
    )
    far = roots[(roots["share"] > FAR) & (roots["limit"] != UNBOUNDED) & ~beside]
    for (method, finder), group in far.groupby(["method", "finder"], sort=False):
        worst = group.sort_values("share").iloc[-1]
        yield (
            f"{method}: {len(group)} of the points that {finder} found are no roots, the residual "
            f"there is more than {FAR} times |f(x)|; the worst is that of unit {worst['neuron']} "
            f"of layer {worst['layer'] + 1}, sample {worst['sample']}, with {worst['share']:.2g} "
            f"times |f(x)|; {in_settings(other_way(str(method)))}"
        )


def _without_output(prepared: Prepared, tables: Tables, figures: Figures) -> Iterator[str]:
    """Where the last ReLU leaves nothing to explain for most samples."""
    samples = figures["samples"]
    skipped, all_samples = samples["skipped"], samples["skipped"] + samples["explained"]
    if 2 * skipped > all_samples and prepared.network.layers[-1].relu:
        yield (
            f"f(x) is 0 for {skipped} of {all_samples} samples, so they are skipped: the ReLU at "
            "the output has it so; network.output_activation=linear leaves it out, and a module or "
            "an ONNX file can be given without it"
        )


def _no_relevance(prepared: Prepared, tables: Tables, figures: Figures) -> Iterator[str]:
    explained = figures["samples"]["explained"]
    for method, nothing in figures["without_relevance"].items():
        for note in notes_on_loss(method, nothing, explained, "layers.csv"):
            yield f"{method}: {in_settings(note)}"


def _inadmissible(prepared: Prepared, tables: Tables, figures: Figures) -> Iterator[str]:
    rooted = tables["roots.csv"].dropna(subset="admissible")
    rooted = rooted.assign(outside=~rooted["admissible"].astype(bool))
    if not rooted["outside"].any():
        return
    groups = rooted.groupby(["layer", "finder", "method"])["outside"]
    counted = groups.agg(["sum", "size"]).reset_index().to_dict("records")
    counts = [
        f"{row['sum']} of {row['size']} by {row['finder']} in layer {row['layer']} "
        f"({row['method']})"
        for row in counted
        if row["sum"]
    ]
    if counts:
        yield f"roots that are inadmissible, outside the domain of their layer: {', '.join(counts)}"


_MEANINGS = {UNSETTLED: "may be wrong", UNBOUNDED: "have no finite relevance"}


def _doubtful(prepared: Prepared, tables: Tables, figures: Figures) -> Iterator[str]:
    layers = tables["layers.csv"]
    rows = layers[layers["limits"].isin(_MEANINGS)]
    samples = sorted(rows["sample"].unique())
    if not samples:
        return
    counts = rows.groupby("limits")["sample"].nunique()
    kinds = ", ".join(
        f"{counts[state]} {state}, which {meaning}"
        for state, meaning in _MEANINGS.items()
        if state in counts
    )
    places = ", ".join(map(str, sorted(rows["layer"].unique())))
    yield (
        f"one-sided limits leave {len(samples)} of {layers['sample'].nunique()} samples in doubt, "
        f"in layers {places}: {kinds} ({_some(samples, 'samples')}); see the column limits of "
        "layers.csv"
    )


def _errors_above(prepared: Prepared, tables: Tables, figures: Figures) -> Iterator[str]:
    """Where the standard errors of sums are larger than was wanted."""
    layers, wanted = tables["layers.csv"], estimator_of(prepared.explainer.estimator).stderr
    if wanted is None or "relevance_sum_stderr" not in layers:
        return
    share = layers["relevance_sum_stderr"] / layers["relevance_sum"].abs()
    above = layers.assign(share=share)[share > wanted]
    if len(above):
        worst = above.sort_values("share").iloc[-1]
        yield (
            f"standard errors of sums of relevances are above relevance.stderr={wanted:g} for "
            f"{above['sample'].nunique()} of {layers['sample'].nunique()} samples, in layers "
            f"{', '.join(map(str, sorted(above['layer'].unique())))}; the largest is "
            f"{worst['share']:.2g} of the sum (sample {worst['sample']}, layer {worst['layer']}); "
            "where relevance.sampled_paths are not enough, raise it"
        )


def _errors_of_few_paths(prepared: Prepared, tables: Tables, figures: Figures) -> Iterator[str]:
    """Where standard errors rest on few paths."""
    layers = tables["layers.csv"]
    if "stderr_paths" not in layers:
        return
    few = layers[layers["stderr_paths"] < FEW_PATHS]
    if len(few):
        yield (
            f"standard errors of sums of relevances rest on fewer than {FEW_PATHS} paths for "
            f"{few['sample'].nunique()} of {layers['sample'].nunique()} samples, in layers "
            f"{', '.join(map(str, sorted(few['layer'].unique())))}, and may be far too small there "
            "(stderr_paths in layers.csv); raise relevance.sampled_paths"
        )


def _some(things: list[Any], what: str) -> str:
    more = ", …" if len(things) > _NAMED else ""
    return f"{what} {', '.join(map(str, things[:_NAMED]))}{more}"


_WARNINGS: tuple[Callable[[Prepared, Tables, Figures], Iterator[str]], ...] = (
    _negative_inputs,
    _data_outside,
    _accuracy,
    _without_output,
    _no_relevance,
    _large_relevance,
    _large_residuals,
    _inadmissible,
    _doubtful,
    _errors_above,
    _errors_of_few_paths,
)
