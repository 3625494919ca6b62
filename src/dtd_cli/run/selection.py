"""Which rows of a data set are explained, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np
from torch import Tensor

from dtd.errors import OutOfRange
from dtd.networks.network import Network
from dtd_cli.config.errors import SettingError
from dtd_cli.config.settings import ExplainSettings
from dtd_cli.inputs.labels import name
from dtd_cli.inputs.source import Inputs, Source, place
from dtd_cli.training.training import Split

_RANDOM = 1
"""Beside the run's seed, so that rows are not drawn in the order of the split."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a data set, with what is known of each.

    ``numbers`` (n,) are their places in the data set, ``part`` what was done with them, and
    ``features`` (n, d) are in the data's own units. Texts are empty where nothing is known.
    """

    numbers: np.ndarray
    features: Tensor
    index: Sequence[str]
    part: Sequence[str]
    label: Sequence[str]

    @classmethod
    def of(cls, source: Source, split: Split, numbers: np.ndarray) -> Rows:
        """Rows of ``source``, which is in the data's own units."""
        assert source.rows is not None, "what is drawn has no rows"
        parts = np.empty(len(source.rows), dtype=object)
        for part, members in split.parts.items():
            parts[members] = part
        unknown = [""] * len(numbers)
        return cls(
            numbers,
            source.rows[numbers],
            unknown if source.index is None else source.index[numbers].tolist(),
            parts[numbers].tolist(),
            unknown if source.labels is None else [*map(name, source.labels[numbers].tolist())],
        )


@contextmanager
def rows_named(names: Sequence[str], rows: Rows | None) -> Iterator[None]:
    """Have a refusal of a sample name its row in the data, and the feature that is largest there.

    Args:
        names: of the features.
        rows: of the samples, if they are of a data set.
    """
    try:
        yield
    except OutOfRange as error:
        if rows is None:
            raise
        features = rows.features[error.sample]
        column = int(features.abs().argmax())
        cell = place(int(rows.numbers[error.sample]), names[column])
        raise SettingError(
            "inputs",
            "",
            f"{cell} is {features[column].item():g}, the largest of its row: {error.allowed}",
        ) from error


@dataclass(frozen=True, eq=False)
class Candidates:
    """Rows among which is chosen, and what the network makes of them, asked for when needed."""

    label: Sequence[str]
    predicted: Callable[[], Sequence[str]]
    f: Callable[[], Tensor]
    seed: int


def _first(candidates: Candidates) -> np.ndarray:
    return np.arange(len(candidates.label))


def _random(candidates: Candidates) -> np.ndarray:
    generator = np.random.default_rng([candidates.seed, _RANDOM])
    return generator.permutation(len(candidates.label))


def _wrong(candidates: Candidates) -> np.ndarray:
    pairs = zip(candidates.label, candidates.predicted(), strict=True)
    return np.flatnonzero([bool(p) and bool(label) and p != label for label, p in pairs])


def _highest(candidates: Candidates) -> np.ndarray:
    return np.argsort(-candidates.f().cpu().numpy(), kind="stable")


def _by_class(candidates: Candidates) -> np.ndarray:
    """The first row of every class, then the second of every class, and so on."""
    label = np.array(candidates.label)
    groups = [np.flatnonzero(label == one).tolist() for one in np.unique(label)]
    turns = chain.from_iterable(zip_longest(*groups))
    return np.array([place for place in turns if place is not None])


CHOICES: dict[str, Callable[[Candidates], np.ndarray]] = {
    "first": _first,
    "random": _random,
    "wrong": _wrong,
    "highest": _highest,
    "by_class": _by_class,
}
"""The name of a choice in the configuration, and what puts the candidates in its order."""


def chosen(
    settings: ExplainSettings, inputs: Inputs, source: Source, split: Split,
    candidates: Callable[[np.ndarray], Candidates],
) -> np.ndarray:  # fmt: skip
    """The places of the rows that are explained, in their order, (n,).

    Raises:
        SettingError: there are no such rows.
    """
    assert source.rows is not None, "what is drawn has no rows"
    how, count = settings.samples, len(source.rows)
    if inputs.chosen_rows is not None:
        if how != "first":
            raise SettingError(
                "explain.samples", how, "inputs.rows names them; allowed is explain.samples=first"
            )
        if max(inputs.chosen_rows) >= count:
            raise SettingError(
                "inputs.rows", inputs.chosen_rows, f"allowed are rows from 0 to {count - 1}"
            )
        return np.array(inputs.chosen_rows, dtype=int)
    if how in _OF_LABELS and source.labels is None:
        raise SettingError(
            "explain.samples",
            how,
            "these inputs have no labels; allowed are inputs with labels, such as those of "
            "inputs.label, or explain.samples=first",
        )
    numbers = split.candidates
    order = CHOICES[how](candidates(numbers))
    if not len(order):
        raise SettingError(
            "explain.samples",
            how,
            f"none of the {len(numbers)} rows is classified wrongly; try another choice, or "
            "another seed",
        )
    rows: np.ndarray = numbers[order][: inputs.n]
    return rows


_OF_LABELS = ("wrong", "by_class")


def predicted(network: Network, x: Tensor, classes: Sequence[str]) -> list[str]:
    """The name of the class that the network predicts for each sample; empty without classes.

    It is the class of the largest output before its ReLU; a single output tells two by its sign.
    """
    if not classes:
        return [""] * len(x)
    z = network.with_output_relu(False).forward(x)
    index = z.argmax(1) if z.shape[1] > 1 else (z[:, 0] > 0).long()
    return [classes[i] if i < len(classes) else "" for i in index.tolist()]
