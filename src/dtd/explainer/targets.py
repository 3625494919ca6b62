"""Which output of the network is explained, for each sample."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dtd.errors import InvalidSetting, shown
from dtd.explainer.explained import out_of_range
from dtd.networks.network import Network
from dtd.ranges import Range, index_of, numbers_of


@dataclass(frozen=True, eq=False)
class Targets:
    """The explained output of each of B samples.

    ``outputs`` (B,) are outputs of ``network``, which is the caller's, or for the difference of
    two outputs has that as its only one. ``f`` (B,) is the value, and ``relevance`` (B, K) how it
    lies on the K outputs of the caller's network: this is R_L.
    """

    network: Network
    outputs: Tensor
    f: Tensor
    relevance: Tensor

    @property
    def explained(self) -> Tensor:
        """Which samples have something to explain, (B,): those with f(x) > 0."""
        return self.f > 0

    def groups(self) -> Iterator[tuple[int, Tensor]]:
        """Each output, with the samples (n,) for which it is explained."""
        for output in self.outputs[self.explained].unique().tolist():
            chosen = self.explained & (self.outputs == output)
            yield output, chosen.nonzero().squeeze(1)


def targets(network: Network, x: Tensor, target: object) -> Targets:
    """What is explained of the samples ``x`` (B, d).

    Args:
        network: the network, in the dtype of the samples.
        x: the samples.
        target: an output for all samples, a sequence of B outputs, a tuple of two outputs whose
            difference is explained, or None for each sample's largest output.

    Raises:
        InvalidSetting: there is no such output, or a value of it is too large for the dtype.
    """
    y = network.forward(x)
    finite = y.isfinite().all(1)
    if not finite.all():
        raise out_of_range(int((~finite).nonzero()[0]), "the network's output", y.dtype)
    if isinstance(target, tuple):
        return _difference(network, y, _pair(network, target))
    outputs = y.argmax(1) if target is None else _outputs(network, target, len(x)).to(x.device)
    f = y.gather(1, outputs.unsqueeze(1))
    relevance = torch.zeros_like(y).scatter(1, outputs.unsqueeze(1), f)
    return Targets(network, outputs, f.squeeze(1), relevance)


def one_target(network: Network, target: object) -> tuple[Network, int]:
    """The network and its output that a single target names.

    Raises:
        InvalidSetting: there is no such output, or the target names several.
    """
    if isinstance(target, tuple):
        return _differing(network, _pair(network, target)), 0
    if target is None:
        raise InvalidSetting("target", "None", "allowed is one output, or a pair of them")
    return network, int(_outputs(network, target, 1)[0])


def _outputs(network: Network, target: object, samples: int) -> Tensor:
    allowed = (
        f"allowed is one output, {samples} of them (one for each sample), a tuple of two outputs "
        "for their difference, or None for each sample's largest"
    )
    if target in Range(-math.inf, integer=True):
        return torch.tensor(_output(network, target)).expand(samples)
    try:
        numbers = numbers_of("target", target)
    except InvalidSetting as error:
        raise InvalidSetting("target", error.value, allowed) from error
    if numbers.is_floating_point() or numbers.shape not in ((), (samples,)):
        said = target if isinstance(target, float) else f"shape {tuple(numbers.shape)}"
        raise InvalidSetting("target", said, allowed)
    outputs = [_output(network, output) for output in numbers.flatten().tolist()]
    return torch.tensor(outputs).expand(samples)


def _output(network: Network, target: object) -> int:
    return index_of("target", target, network.widths[-1], "an output")


def _pair(network: Network, target: tuple[object, ...]) -> tuple[int, int]:
    if network.layers[-1].relu:
        raise InvalidSetting(
            "target",
            shown(target),
            "a difference is explained of a linear output; this one has a ReLU",
        )
    outputs = [_output(network, output) for output in target]
    if len(outputs) != 2 or outputs[0] == outputs[1]:
        raise InvalidSetting("target", shown(target), "allowed is a tuple of two different outputs")
    first, second = outputs
    return first, second


def _differing(network: Network, pair: tuple[int, int]) -> Network:
    """The network whose only output is the difference of two."""
    *hidden, last = network.layers
    first, second = pair
    one, other = last.only(first), last.only(second)
    difference = replace(one, weight=one.weight - other.weight, bias=one.bias - other.bias)
    return Network((*hidden, difference))


def _difference(network: Network, y: Tensor, pair: tuple[int, int]) -> Targets:
    first, second = pair
    relevance = torch.zeros_like(y)
    relevance[:, first], relevance[:, second] = y[:, first], -y[:, second]
    outputs = torch.zeros(len(y), dtype=torch.long, device=y.device)
    return Targets(_differing(network, pair), outputs, relevance.sum(1), relevance)
