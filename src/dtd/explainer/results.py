"""What an explanation of a batch of samples holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dtd.explainer.explained import Explained
from dtd.explainer.notes import notes_on_errors, notes_on_loss, notes_on_size
from dtd.explainer.reach import largest_relevance, without_relevance
from dtd.explainer.root_point import RootPoint, root_point
from dtd.networks.matrices.windows import Shape
from dtd.numerics.gradients import outside_inference
from dtd.relevance.explanation import StandardErrors
from dtd.relevance.ledger import Ledger
from dtd.relevance.limits.state import LimitState, states

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Contents:
    """What an explanation has beside relevances, whether or not a sample is explained."""

    degrees: int
    """How many degrees of the Taylor series are told apart; 0 for a method without a series."""
    interactions: bool
    stderr: bool


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """The explanation of B samples by one method.

    ``f`` (B,) is the value that is explained. Where a linear output is below zero, -f is
    decomposed, and all numbers have the sign of f. A sample with ``f = 0`` has nothing to explain:
    its relevance is zero below the output, and it has no rows in the frames.
    """

    x: Tensor
    f: Tensor
    output_relevance: Tensor
    """R_L, (B, K)."""
    shapes: tuple[Shape, ...]
    """Of the activations of each layer."""
    parts: tuple[Explained, ...]
    contents: Contents
    notes_on_inputs: tuple[str, ...] = ()
    """What makes the relevances doubtful that is seen in the samples; ``notes`` has all."""

    def __repr__(self) -> str:
        return "\n".join([self._in_a_line, *(f"note: {note}" for note in self.notes)])

    @property
    def _in_a_line(self) -> str:
        widths = "-".join(map(str, self.widths))
        if not self.parts:
            return (
                f"Result(network {widths}, 0 of {len(self.f)} samples explained: all have "
                "f(x) = 0, so relevance is zero below the output and the frames have no rows)"
            )
        method = self.parts[0].method
        return (
            f"Result({method}, network {widths}, {int(self.explained.sum())} of {len(self.f)} "
            f"samples explained, median share of f kept {float(self.kept.nanmedian()):.3g})"
        )

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What makes the relevances doubtful, with what to do, a line each; shown with the result.

        A run of the program warns of the same: of inputs that are not for the rule, of standard
        errors of few paths, of relevance that is lost for most samples or far beyond f.
        """
        method = self.parts[0].method if self.parts else ""
        explained = int(self.explained.sum())
        return (
            *self.notes_on_inputs,
            *notes_on_errors([part.explanation.errors for part in self.parts]),
            *notes_on_loss(method, without_relevance(self.parts), explained, "the ledger"),
            *notes_on_size(method, largest_relevance(self.parts)),
        )

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Units per layer, from the input to the output."""
        return tuple(map(prod, self.shapes))

    @property
    def explained(self) -> Tensor:
        """Which samples have something to explain, (B,): those with f(x) != 0."""
        return self.f != 0

    @property
    def kept(self) -> Tensor:
        """The share of f that R_0 adds up to, (B,).

        NaN for a sample that is not explained, or has no finite relevance.
        """
        shares = self.attribution.flatten(1).sum(1) / self.f
        return torch.where(self.explained & ~self._limits(0).isinf(), shares, torch.nan)

    @property
    def attribution(self) -> Tensor:
        """R_0, of the shape of the samples."""
        return self.relevance[0]

    @cached_property
    def relevance(self) -> list[Tensor]:
        """R_0, ..., R_L, each (B, *shape of layer l), R_0 of the shape of the samples.

        The method ``simple_taylor`` decomposes onto the input at once: in the layers between,
        all relevance is zero.
        """
        return [*self._below_output(_relevances), self.output_relevance]

    @cached_property
    def ledger(self) -> list[Ledger]:
        """For each layer from 0 to L - 1 where the relevance of the layer above went, each (B,)."""
        return [self._ledger(layer) for layer in range(len(self.widths) - 1)]

    @cached_property
    def limits(self) -> list[list[str]]:
        """For each layer from 0 to L - 1 and each sample what became of one-sided limits.

        ``none`` where none was needed at a root of the sample or above it, ``taken`` where all are
        right, ``unsettled`` where one may be wrong, and ``unbounded`` where there is no finite
        relevance, so that the number in its place means nothing.
        """
        return [
            [LimitState(state).name.lower() for state in states(self._limits(layer)).tolist()]
            for layer in range(len(self.widths) - 1)
        ]

    @cached_property
    def stderr(self) -> list[Tensor] | None:
        """The standard errors of ``relevance``, where it was estimated from paths, else None.

        NaN for units that paths may give something, but that no path has met.
        """
        if not self.contents.stderr:
            return None
        output = self._gathered([None] * len(self.parts), self.widths[-1])
        return [*self._below_output(_errors), output]

    @cached_property
    def sum_stderr(self) -> list[Tensor] | None:
        """The standard error of the sum of each layer from 0 to L - 1, each (B,), or None."""
        return self._of_sums(lambda errors: errors.sums)

    @cached_property
    def stderr_paths(self) -> list[Tensor] | None:
        """On how many paths ``sum_stderr`` rests, effectively: below 10 it is hardly known.

        Infinite where nothing was drawn, so that the relevance is exact. Zero where all paths
        agree, so that they tell no error, and for samples that are not explained.
        """
        return self._of_sums(lambda errors: errors.paths)

    def _of_sums(self, each: Callable[[StandardErrors], Sequence[Tensor]]) -> list[Tensor] | None:
        errors = [part.explanation.errors for part in self.parts]
        if not self.contents.stderr:
            return None
        return [
            self._gathered([None if one is None else each(one)[layer] for one in errors])
            for layer in range(len(self.widths) - 1)
        ]

    @cached_property
    def degrees(self) -> list[Tensor] | None:
        """What each degree k of the Taylor series gave to ``relevance``, at index k - 1.

        For each layer from 0 to L - 1, (B, K, d_l); None for a method without a series. With
        ``degree=inf`` the integral of all degrees is the only one.
        """
        if not self.contents.degrees:
            return None
        return [
            self._gathered(
                [part.explanation.terms[layer] for part in self.parts],
                self.contents.degrees,
                width,
            )
            for layer, width in enumerate(self.widths[:-1])
        ]

    @cached_property
    def interactions(self) -> list[Tensor] | None:
        """The degree-2 matrix of each layer from 0 to L - 1, (B, d_l, d_l); None unless wanted."""
        if not self.contents.interactions:
            return None
        return [
            self._gathered(
                [part.explanation.interactions[layer] for part in self.parts], width, width
            )
            for layer, width in enumerate(self.widths[:-1])
        ]

    def root_point(self, layer: int, unit: int) -> RootPoint:
        """The roots in layer ``layer`` of the unit ``unit`` of the layer above it.

        Raises:
            InvalidSetting: the explanation has no roots there.
        """
        return root_point(self.parts, self.f, self.widths, layer, unit)

    def to_frame(self) -> pd.DataFrame:
        """One unit's relevance a row: the columns of ``relevance.csv``."""
        from dtd.explainer.frames import relevance_frame

        return relevance_frame(self.parts)

    def ledger_frame(self) -> pd.DataFrame:
        """Where the relevance of the layer above went, one layer a row: as ``layers.csv``."""
        from dtd.explainer.frames import ledger_frame

        return ledger_frame(self.parts)

    def roots_frame(self) -> pd.DataFrame:
        """One root a row, whatever became of it: the columns of ``roots.csv``."""
        from dtd.explainer.root_frames import roots_frame

        return roots_frame(self.parts)

    def interactions_frame(self) -> pd.DataFrame:
        """One entry of a degree-2 matrix a row: the columns of ``interactions.csv``."""
        from dtd.explainer.frames import interactions_frame

        return interactions_frame(self.parts)

    def _below_output(self, values: Callable[[Explained, int], Tensor | None]) -> list[Tensor]:
        """The values of the layers 0, ..., L - 1, the first of the shape of the samples."""
        shapes = (self.x.shape[1:], *self.shapes[1:-1])
        return [
            self._gathered([values(part, layer) for part in self.parts], width).unflatten(1, shape)
            for layer, (width, shape) in enumerate(zip(self.widths, shapes, strict=False))
        ]

    @outside_inference
    def _gathered(self, values: Sequence[Tensor | None], *shape: int) -> Tensor:
        """The values (n, *shape) of all parts in the order of the samples, else zero."""
        full = self.output_relevance.new_zeros(len(self.x), *shape)
        for part, own in zip(self.parts, values, strict=True):
            if own is not None:
                full[part.samples] = own
        return full

    def _ledger(self, layer: int) -> Ledger:
        ledgers = [part.explanation.ledgers.get(layer) for part in self.parts]

        def column(name: str) -> Tensor:
            columns = [
                None if book is None else getattr(book, name).unsqueeze(1) for book in ledgers
            ]
            return self._gathered(columns, 1).squeeze(1)

        return Ledger(**{field.name: column(field.name) for field in fields(Ledger)})

    def _limits(self, layer: int) -> Tensor:
        errors = self.output_relevance.new_full((len(self.x),), torch.nan)
        for part in self.parts:
            if layer in part.explanation.limit_errors:
                errors[part.samples] = part.explanation.limit_errors[layer]
        return errors


def _relevances(part: Explained, layer: int) -> Tensor | None:
    return part.explanation.relevances.get(layer)


def _errors(part: Explained, layer: int) -> Tensor | None:
    errors = part.explanation.errors
    return None if errors is None else errors.relevances[layer]
