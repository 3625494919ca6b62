"""One layer: what it makes of the activations below it, and its derivative for given gates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from math import prod
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from dtd.errors import InvalidSetting
from dtd.networks.layers.balls import BallLayer
from dtd.networks.matrices.form import Form
from dtd.networks.matrices.matrix import Matrix
from dtd.networks.matrices.windows import Shape

Mask = Callable[[Tensor], Tensor]
"""The mask of a rule: a number for each weight, elementwise."""


class Product(Protocol):
    """``W ⊙ mask``, by which a rule shares out the relevance of a layer's units.

    Of a maximum the rows of W are winners, so all methods are told the anchors ``a`` (N, d).
    """

    def __call__(self, a: Tensor) -> Tensor:
        """``w_j v_j`` with ``v_j = a ⊙ mask_j``, (N, J)."""

    def transposed(self, z: Tensor, a: Tensor) -> Tensor:
        """``Σ_j z_j w_ji mask_ji`` for rows z (N, J), shape (N, d)."""

    def columns(self, place: Tensor, a: Tensor) -> Tensor:
        """The entries of inputs (N,), shape (N, J)."""

    def entries(self, unit: Tensor, place: Tensor, a: Tensor) -> Tensor:
        """The entries of units and inputs, all (N,)."""

    def mapped(self, function: Mask) -> Product:
        """The product with ``function`` of each entry in its place; it leaves zero as it is."""

    @property
    def sizes(self) -> Product:
        """``|W ⊙ mask|``."""

    @property
    def together(self) -> Product:
        """The product, faster, but a row may differ in its last digit with what is beside it."""


class AnyLayer(ABC):
    """What maps the activations of a layer to those of the next."""

    is_affine: ClassVar[bool]
    form: Form

    @property
    @abstractmethod
    def relu(self) -> bool:
        """Whether a ReLU follows, so that units have kinks at zero."""

    @property
    @abstractmethod
    def inputs(self) -> Shape:
        """The shape of the inputs, (d,) or (channels, height, width)."""

    @property
    @abstractmethod
    def outputs(self) -> Shape:
        """The shape of the units, (J,) or (channels, height, width)."""

    @cached_property
    def size(self) -> int:
        """d, the number of inputs."""
        return prod(self.inputs)

    @cached_property
    def units(self) -> int:
        """J, the number of units."""
        return prod(self.outputs)

    @property
    @abstractmethod
    def kind(self) -> str:
        """What it is called: dense, convolution, average or maximum."""

    @property
    @abstractmethod
    def learns(self) -> bool:
        """Whether its parameters, a weight and a bias, are learned; those of pooling are not."""

    @property
    def matrix(self) -> Matrix:
        """W (J, d), of an affine map.

        Raises:
            InvalidSetting: the layer is none.
        """
        raise without_matrix()

    @property
    @abstractmethod
    def parameters(self) -> dict[str, Tensor]:
        """What training changes: ``weight`` and ``bias``, or nothing."""

    @abstractmethod
    def with_parameters(self, parameters: dict[str, Tensor]) -> AnyLayer:
        """The layer with others."""

    @abstractmethod
    def preactivation(self, a: Tensor) -> Tensor:
        """``z`` (N, J) for activations (N, d)."""

    @abstractmethod
    def of_units(self, units: Tensor, a: Tensor) -> Tensor:
        """The pre-activations of some units (N, K) for activations ``a`` (N, d), up to rounding."""

    def competitors(self, place: Tensor) -> Tensor:
        """Which inputs a unit chooses from that has the input (N,), and that itself, (N, K).

        Only where windows are apart.
        """
        return place.new_zeros(len(place), 0)

    @abstractmethod
    def magnitude(self, a: Tensor) -> Tensor:
        """The size (N, J) against which rounding in ``z`` is measured."""

    def activation(self, z: Tensor) -> Tensor:
        """``max(0, z)``, or ``z`` itself where the layer has no ReLU."""
        return z.relu() if self.relu else z

    def __call__(self, a: Tensor) -> Tensor:
        return self.activation(self.preactivation(a))

    @abstractmethod
    def mask(self, mask: Mask) -> Matrix:
        """The masks m_j (J, d) of directions ``a ⊙ m_j``."""

    @abstractmethod
    def product(self, mask: Mask) -> Product:
        """What such directions add to the pre-activations."""

    @abstractmethod
    def constant_mask(self, mask: Mask) -> float | None:
        """The mask of all inputs of a window, for pooling: there they go to zero in proportion.

        So ``t_j`` of directions ``a ⊙ m_j`` is one over it, for all units and anchors. None
        elsewhere.
        """

    @property
    @abstractmethod
    def positive_part(self) -> Product:
        """What positive weights add to the pre-activations."""

    @abstractmethod
    def activations_together(self, a: Tensor) -> Tensor:
        """As :meth:`__call__`, faster, but a row's last digit may depend on its neighbours."""

    @abstractmethod
    def rows(self, unit: Tensor, a: Tensor) -> Tensor:
        """The derivatives (N, d) of the pre-activations of units (N,) at the points a (N, d)."""

    @abstractmethod
    def transposed(self, upper: Tensor, a: Tensor) -> Tensor:
        """The gradient (N, d), at the points a (N, d), of a function of the pre-activations.

        ``upper`` (N, J) is its gradient by these.
        """

    @property
    @abstractmethod
    def balls(self) -> BallLayer:
        """The layer in balls."""

    @abstractmethod
    def product_balls(self, mask: Mask) -> BallLayer:
        """The product with a mask in balls, as a layer without biases."""

    @property
    @abstractmethod
    def largest(self) -> tuple[Tensor, Tensor]:
        """The largest ``|b_j|``, and the largest ``Σ_i |w_ji|``."""

    @abstractmethod
    def gates(self, a: Tensor, z: Tensor) -> Tensor:
        """Which gates are open at the points ``a`` (N, d) with pre-activations z, (N, J, ...)."""

    @abstractmethod
    def closed_gates(self, a: Tensor, z: Tensor, gates: Tensor, size: Tensor) -> Tensor:
        """Which gates are open at the points, where a unit on its kink has that of its anchor.

        ``gates`` are those of the anchors, and ``size`` (N, J) is their :meth:`magnitude`.
        """

    @abstractmethod
    def gates_towards(self, a: Tensor, slope: Tensor, size: Tensor) -> Tensor:
        """The gates just beside the points ``a``, along the directions ``slope``, both (N, d).

        ``size`` (N, d) are activations against whose size rounding is measured.
        """

    @abstractmethod
    def through(self, gates: Tensor, a: Tensor) -> Tensor:
        """The activations (N, J) at the points ``a`` (N, d) with the gates as given."""

    @abstractmethod
    def slope_through(self, gates: Tensor, slope: Tensor) -> Tensor:
        """Their derivative along directions (N, d)."""

    @abstractmethod
    def pulled(self, gates: Tensor, upper: Tensor) -> Tensor:
        """The gradient (N, d) of a function of the activations with the gradient (N, J) there."""

    @abstractmethod
    def held_open(self, units: Tensor, anchors: Tensor) -> Tensor:
        """The gates that are open at the anchors (N, d), of some units (N, J) only, (N, M)."""

    @abstractmethod
    def opened(self, a: Tensor, gates: Tensor) -> Tensor:
        """The activations (N, J) at the points ``a`` (N, d), some gates (N, M) held open."""

    @abstractmethod
    def with_relu(self, relu: bool) -> AnyLayer:
        """The layer with or without a ReLU."""

    @abstractmethod
    def only(self, unit: int) -> AnyLayer:
        """The layer with one of its units only."""

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype: ...

    @property
    @abstractmethod
    def device(self) -> torch.device: ...

    @property
    @abstractmethod
    def is_finite(self) -> bool:
        """Whether no weight and no bias is NaN or infinite."""

    @abstractmethod
    def to(self, dtype: torch.dtype, device: torch.device | None = None) -> AnyLayer:
        """A copy of the layer, in another dtype or on another device."""


def without_matrix() -> InvalidSetting:
    """The refusal of what needs the matrix of a layer that has none."""
    return InvalidSetting(
        "model",
        "max pooling",
        "this needs affine layers alone; allowed are closed_form roots with z+, gamma and x",
    )
