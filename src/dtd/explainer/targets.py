"""Which output of the network is explained, for each sample."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dtd.errors import InvalidSetting, OutOfRange, shown
from dtd.explainer.output import Output
from dtd.networks.network import Network
from dtd.ranges import Range, index_of, numbers_of


@dataclass(frozen=True, eq=False)
class Targets:
    """What is explained of each of B samples: ``outputs`` (B), and their values ``f`` (B,)."""

    outputs: Sequence[Output]
    f: Tensor
    relevance: Tensor
    """R_L, (B, K): how f lies on the outputs of the network."""

    @property
    def explained(self) -> Tensor:
        """Which samples have something to explain, (B,): those with f(x) != 0."""
        return self.f != 0

    def groups(self) -> Iterator[tuple[Output, Tensor]]:
        """Each output, with the samples (n,) for which it is explained."""
        chosen: dict[Output, list[int]] = {}
        for sample in self.explained.nonzero().squeeze(1).tolist():
            chosen.setdefault(self.outputs[sample], []).append(sample)
        for output in sorted(chosen, key=lambda output: (output.unit, -output.sign)):
            yield output, torch.tensor(chosen[output], device=self.f.device)


def targets(network: Network, path: Sequence[Tensor], target: object) -> Targets:
    """What is explained of B samples.

    Args:
        network: the network, in the dtype of the samples.
        path: the activations of the samples in all layers, each (B, d_l).
        target: an output for all samples, a sequence of B outputs, a tuple of two outputs whose
            difference is explained, or None for each sample's largest output.

    Raises:
        InvalidSetting: there is no such output, or a value of it is too large for the dtype.
    """
    y, samples = path[-1], len(path[-1])
    if not y.isfinite().all():
        sample = int((~y.isfinite().all(1)).nonzero()[0])
        layer = [bool(a[sample].isfinite().all()) for a in path].index(False)
        raise OutOfRange("x", sample, f"the activation of layer {layer}", str(y.dtype))
    if isinstance(target, tuple):
        pair = _pair(network, target)
        # What is decomposed has the sign that is chosen here, to the last bit.
        f = pair.decomposed(network).layers[-1](path[-2])[:, pair.unit]
        return Targets(_signed([pair] * samples, f), f, pair.relevance(y))
    units = _largest(network, path) if target is None else _outputs(network, target, samples)
    f = y.gather(1, units.unsqueeze(1))
    relevance = torch.zeros_like(y).scatter(1, units.unsqueeze(1), f)
    return Targets(_signed(map(Output, units.tolist()), f.squeeze(1)), f.squeeze(1), relevance)


def one_target(network: Network, target: object) -> Output:
    """The output that a single target names.

    Raises:
        InvalidSetting: there is no such output, or the target names several.
    """
    if isinstance(target, tuple):
        return _pair(network, target)
    if target is None:
        raise InvalidSetting("target", "None", "allowed is one output, or a pair of them")
    return Output(int(_outputs(network, target, 1)[0]))


def _largest(network: Network, path: Sequence[Tensor]) -> Tensor:
    """The unit of each sample's largest output, (B,); where a ReLU closes all, before it."""
    units = path[-1].argmax(1)
    closed = (path[-1] == 0).all(1).nonzero().squeeze(1)
    if network.layers[-1].relu and len(closed):
        z = network.with_output_relu(False).layers[-1](path[-2][closed])
        units = units.index_copy(0, closed, z.argmax(1))
    return units


def _signed(outputs: Iterable[Output], f: Tensor) -> list[Output]:
    """The outputs, decomposed with the signs of their values (B,)."""
    signs = torch.where(f < 0, -1, 1).tolist()
    return [replace(output, sign=sign) for output, sign in zip(outputs, signs, strict=True)]


def _outputs(network: Network, target: object, samples: int) -> Tensor:
    allowed = (
        f"allowed is one output, {samples} of them (one for each sample), a tuple of two outputs "
        "for their difference, or None for each sample's largest"
    )
    if target in Range(-math.inf, integer=True):
        return torch.tensor(_output(network, target), device=network.device).expand(samples)
    try:
        numbers = numbers_of("target", target)
    except InvalidSetting as error:
        raise InvalidSetting("target", error.value, allowed) from error
    if numbers.is_floating_point() or numbers.shape not in ((), (samples,)):
        said = target if isinstance(target, float) else f"shape {tuple(numbers.shape)}"
        raise InvalidSetting("target", said, allowed)
    outputs = [_output(network, output) for output in numbers.flatten().tolist()]
    return torch.tensor(outputs, device=network.device).expand(samples)


def _output(network: Network, target: object) -> int:
    return index_of("target", target, network.widths[-1], "an output")


def _pair(network: Network, target: tuple[object, ...]) -> Output:
    if network.layers[-1].relu:
        raise InvalidSetting(
            "target",
            shown(target),
            "a difference is explained of a linear output; this one has a ReLU",
        )
    outputs = [_output(network, output) for output in target]
    if len(outputs) != 2 or outputs[0] == outputs[1]:
        raise InvalidSetting("target", shown(target), "allowed is a tuple of two different outputs")
    return Output(*outputs)
