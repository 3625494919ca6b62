"""What inputs are: features with a domain, perhaps rows of a data set, and samples to explain."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from dtd.domains import Domain
from dtd_cli.config.values import Count


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """The inputs of one run.

    ``names`` are those of the d features, and ``domain`` is where inputs may lie. A data set has
    ``rows`` (N, d), and ``labels`` (N,) if it is labelled. Inputs that are drawn have no rows. Of
    images, ``image`` is channels, height and width; features are their pixels in this order.
    """

    names: tuple[str, ...]
    domain: Domain
    rows: Tensor | None = None
    labels: np.ndarray | None = None
    image: tuple[int, int, int] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one input: (channels, height, width) of an image, else (d,)."""
        return self.image or (len(self.names),)


def pixel_names(image: tuple[int, int, int]) -> tuple[str, ...]:
    """The names by which tables and pictures know pixels, in the order of the features.

    Of a grey image ``pixel_<row>_<column>``, of others ``pixel_<channel>_<row>_<column>``.
    """
    places = np.ndindex(image if image[0] > 1 else image[1:])
    return tuple("_".join(("pixel", *map(str, place))) for place in places)


@dataclass(frozen=True)
class Inputs(ABC):
    """Settings of the inputs. At most ``n`` samples are explained."""

    n: Count | None

    @abstractmethod
    def open(self, input_size: int | None) -> Source:
        """The inputs for a network of ``input_size`` inputs; None if its size follows the data.

        Raises:
            SettingError: the settings name no such inputs.
        """

    def samples(
        self, source: Source, output: Callable[[Tensor], Tensor], generator: torch.Generator
    ) -> Tensor:
        """The samples to explain, (n, d).

        Args:
            source: what :meth:`open` gave, with only the rows that may be explained.
            output: the explained output f: (N, d) -> (N,).
            generator: draws the inputs that are drawn.
        """
        assert source.rows is not None, "inputs without rows draw their samples"
        return source.rows[: self.n]
