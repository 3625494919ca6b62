"""A step of a network: one operation, and the layers with it after them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from dtd.errors import InvalidSetting
from dtd.networks.layers.layer import AnyLayer
from dtd.networks.matrices.windows import Shape
from dtd.networks.steps.chain import Layers, rectified

Refused = Callable[[str], InvalidSetting]
"""The refusal of an operation with its place, for a reason."""

_AGREEMENT = 1e-6
"""How far outputs may differ, relative to the sum of the sizes that they are made of."""


@dataclass(frozen=True, eq=False)
class Step:
    """What an operation does: to one more layer, or a ReLU, or to the shape of activations alone.

    ``onto`` gives the layers with the step after them.
    """

    onto: Callable[[Layers], Layers]
    layer: AnyLayer | None = None
    relu: bool = False
    flattens: bool = False
    reshaped: Shape = ()
    """The shape that it gives to activations, where that is known and not the layer's."""
    size: Tensor | None = None
    """What the step adds up and may cancel, for each unit, where its biases do not tell it."""

    def __call__(self, a: Tensor) -> Tensor:
        """What the step makes of activations, (N, units), from those of any shape."""
        a = a.flatten(1)
        a = a if self.layer is None else self.layer.to(a.dtype).preactivation(a)
        return a.relu() if self.relu else a

    def magnitude(self, a: Tensor) -> Tensor:
        """The size against which rounding in the step is measured, (N, units)."""
        a = a.flatten(1)
        size = a.abs() if self.layer is None else self.layer.to(a.dtype).magnitude(a)
        return size if self.size is None else size + self.size.to(size)

    def outputs(self, shape: Shape) -> Shape:
        """The shape of what the step makes of activations of a shape."""
        return self.reshaped or (shape if self.layer is None else self.layer.outputs)

    def check_inputs(self, shape: Shape, refused: Refused) -> None:
        """Refuse activations of another shape than that of what the step takes.

        Raises:
            InvalidSetting: with both shapes.
        """
        if self.layer is not None and shape != self.layer.inputs:
            inputs, got = ("x".join(map(str, s)) for s in (self.layer.inputs, shape))
            raise refused(f"it takes {inputs} inputs, and what comes before gives {got}")


RELU = Step(rectified, relu=True)
NOTHING = Step(lambda layers: layers)
FLATTENING = Step(lambda layers: layers, flattens=True)


@dataclass(frozen=True, eq=False)
class Walk:
    """The layers of the steps so far, each of which was compared with the operation itself."""

    layers: Layers = ()
    size: Tensor = field(default_factory=lambda: torch.zeros(()))
    """What the activations are made of, against which their rounding is measured."""

    def then(
        self, step: Step, before: Tensor, answer: object, refused: Refused, advice: str = ""
    ) -> Walk:
        """The walk with one more step, which takes ``before`` and is to give ``answer``.

        Raises:
            InvalidSetting: it gives something else, or does not go onto the layers so far.
        """
        if not agree(answer, step(before), step.magnitude(before)):
            raise refused(f"its output is not what the layer of its kind gives{advice}")
        size = self.size if self.layers else before.flatten(1).abs()
        try:
            return Walk(step.onto(self.layers), step.magnitude(size))
        except InvalidSetting as error:
            raise refused(error.allowed) from error


def agree(output: object, expected: Tensor, size: Tensor) -> bool:
    """Whether an output is what is expected, up to rounding of numbers of the size."""
    allowed = max(_AGREEMENT, 8 * torch.finfo(size.dtype).eps) * size
    return (
        isinstance(output, Tensor)
        and output.dim() > 1
        and output.flatten(1).shape == expected.shape
        and output.dtype == expected.dtype
        and bool(((output.flatten(1) - expected).abs() <= allowed).all())
    )
