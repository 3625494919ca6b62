"""Which output of the network is explained, for each sample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dtd.errors import InvalidSetting
from dtd.explainer.arguments import numbers_of
from dtd.networks.network import Network


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
    if not y.isfinite().all():
        raise InvalidSetting("x", "its values", "the network's output is beyond the dtype's range")
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
    numbers = numbers_of("target", target)
    count = network.widths[-1]
    if numbers.is_floating_point() or numbers.shape not in ((), (samples,)):
        raise InvalidSetting(
            "target",
            target if isinstance(target, float | str) else f"shape {tuple(numbers.shape)}",
            f"allowed is one output, {samples} of them (one for each sample), a tuple of two "
            "outputs for their difference, or None for each sample's largest",
        )
    for output in numbers.flatten().tolist():
        _check_output(output, count)
    return numbers.long().cpu().expand(samples)


def _check_output(output: object, count: int) -> None:
    if type(output) is not int or not 0 <= output < count:
        raise InvalidSetting("target", output, f"allowed is an output from 0 to {count - 1}")


def _pair(network: Network, target: tuple[object, ...]) -> tuple[int, int]:
    if network.layers[-1].relu:
        raise InvalidSetting(
            "target", target, "a difference is explained of a linear output; this one has a ReLU"
        )
    if len(target) != 2 or target[0] == target[1]:
        raise InvalidSetting("target", target, "allowed is a tuple of two different outputs")
    first, second = (int(_outputs(network, output, 1)[0]) for output in target)
    return first, second


def _differing(network: Network, pair: tuple[int, int]) -> Network:
    """The network whose only output is the difference of two."""
    *hidden, last = network.layers
    first, second = pair
    weight = last.weight[first] - last.weight[second]
    bias = last.bias[first] - last.bias[second]
    return Network((*hidden, replace(last, weight=weight.unsqueeze(0), bias=bias.unsqueeze(0))))


def _difference(network: Network, y: Tensor, pair: tuple[int, int]) -> Targets:
    first, second = pair
    relevance = torch.zeros_like(y)
    relevance[:, first], relevance[:, second] = y[:, first], -y[:, second]
    outputs = torch.zeros(len(y), dtype=torch.long, device=y.device)
    return Targets(_differing(network, pair), outputs, relevance.sum(1), relevance)
