"""The last lines of a run: what became of it, from its summary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def closing(summary: Mapping[str, Any]) -> Iterator[str]:
    """How good the network is, which samples were explained, and what each method made of f."""
    yield from _network(summary["training"])
    samples = summary["samples"]
    explained, skipped = samples["explained"], samples["skipped"]
    line = f"{explained} of {explained + skipped} samples explained"
    if samples["below_zero"]:
        line += f", {samples['below_zero']} of them through -f because f(x) < 0"
    yield line + f"; {skipped} skipped because f(x) = 0" * bool(skipped)
    kept = {
        **{name: layers.get("0") for name, layers in summary["conserved_by_layer"].items()},
        **{
            f"recursive, {label}": layers.get("0")
            for label, layers in summary.get("conserved_by_input_roots", {}).items()
        },
    }
    largest, nothing = summary["largest_relevance"], summary["without_relevance"]
    # In the order of the run.
    for method in dict.fromkeys([*largest, *kept]):
        empty = nothing.get(method, 0)
        lost = f", nothing for {empty} of {explained} samples" * bool(empty)
        yield f"{method}: {_kept(kept.get(method))}{lost}{_largest(largest.get(method))}"


def _network(training: Mapping[str, float]) -> Iterator[str]:
    """The figures of the rows that training did not see, or where it saw all, of these; of all data
    where there was no training."""
    for part in ("test", "train", "data"):
        figures = {name: value for name, value in training.items() if name.startswith(f"{part}_")}
        if figures:
            words = (f"{name.replace('_', ' ')} {value:.3g}" for name, value in figures.items())
            yield ", ".join(words).replace(f", {part} ", ", ")
            return


def _kept(share: float | None) -> str:
    return "no finite relevance" if share is None else f"keeps {share:.3g} of f(x) (median)"


def _largest(largest: Mapping[str, Any] | None) -> str:
    if largest is None or largest["share"] == 0:
        return ""
    place = f"sample {largest['sample']}, layer {largest['layer']}, unit {largest['neuron']}"
    return f", largest |R| is {largest['share']:.3g} |f(x)| ({place})"
