"""A network read from a ``torch.nn.Module``: a chain of the layers that the theory knows.

A new kind of layer is one more function in ``READERS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor, nn

from dtd.errors import InvalidSetting
from dtd.networks.network import Layer, Network

_PROBES = 8
_AGREEMENT = 1e-6
"""How far outputs may differ, relative to the sum of the sizes that they are made of."""


def read(module: nn.Module) -> Network:
    """The network that a module computes; the module is not changed.

    Allowed are ``nn.Linear``, ``nn.ReLU``, ``nn.Identity``, ``nn.Dropout`` in evaluation mode and
    ``nn.Flatten``, alone or in an ``nn.Sequential``, which may hold others.

    Raises:
        InvalidSetting: it is no such chain, or its output on a probe is another than the
            network's.
    """
    try:
        # To read a parametrised weight may change its module, as spectral_norm does in training.
        module = deepcopy(module)
    except Exception as error:
        raise _refused(module, "", "it cannot be copied, and is never changed itself") from error
    chain = list(_leaves(module, ""))
    layers: list[Layer] = []
    for name, leaf in chain:
        reader = next(
            (reader for kind, reader in READERS.items() if _is_plain(leaf, kind)), _unknown
        )
        layers = reader(layers, leaf, name)
    if not layers:
        raise _refused(module, "", "it has no nn.Linear")
    _check_shared(chain)
    network = Network(tuple(layers))
    _check_output(module, network)
    return network


def _leaves(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    """The layers in the order in which they are applied, with their names."""
    if module._forward_hooks or module._forward_pre_hooks:
        raise _refused(module, name, "it has forward hooks, which may change its output")
    if not _is_plain(module, nn.Sequential):
        yield name, module
        return
    # Not named_children(), which leaves out what occurs a second time.
    for part, child in module._modules.items():
        if child is not None:
            yield from _leaves(child, f"{name}.{part}" if name else part)


def _is_plain(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether the module is of the kind, and computes what that computes."""
    own = "forward" in vars(module)
    return isinstance(module, kind) and type(module).forward is kind.forward and not own


def _linear(layers: list[Layer], leaf: nn.Module, name: str) -> list[Layer]:
    assert isinstance(leaf, nn.Linear)
    weight = leaf.weight.detach()
    bias = weight.new_zeros(len(weight)) if leaf.bias is None else leaf.bias.detach()
    try:
        read = Layer(weight.clone(), bias.clone(), relu=False)
    except InvalidSetting as error:
        reason = f"its {error.argument} is {error.value}; {error.allowed}"
        raise _refused(leaf, name, reason) from error
    if not read.is_finite:
        raise _refused(leaf, name, "its weights have NaN or infinite entries")
    if not layers:
        return [read]
    *before, below = layers
    if weight.shape[1] != len(below.bias):
        raise _refused(
            leaf,
            name,
            f"it takes {weight.shape[1]} inputs, and the layer below has {len(below.bias)} units",
        )
    return [*layers, read] if below.relu else [*before, _composed(below, read)]


def _composed(below: Layer, above: Layer) -> Layer:
    """Two affine maps with nothing between them are one: ``W W' a + (W b' + b)``."""
    first, second = below.to(torch.float64), above.to(torch.float64)
    bias = second.weight @ first.bias + second.bias
    return Layer(second.weight @ first.weight, bias, relu=False)


def _relu(layers: list[Layer], leaf: nn.Module, name: str) -> list[Layer]:
    if not layers:
        raise _refused(leaf, name, "it comes before the first nn.Linear")
    return [*layers[:-1], replace(layers[-1], relu=True)]


def _identity(layers: list[Layer], leaf: nn.Module, name: str) -> list[Layer]:
    return layers


def _dropout(layers: list[Layer], leaf: nn.Module, name: str) -> list[Layer]:
    if leaf.training:
        raise _refused(leaf, name, "it is in training mode; call model.eval() first")
    return layers


def _flatten(layers: list[Layer], leaf: nn.Module, name: str) -> list[Layer]:
    assert isinstance(leaf, nn.Flatten)
    if (leaf.start_dim, leaf.end_dim) != (1, -1):
        raise _refused(leaf, name, "it does not flatten all dimensions of a sample")
    return layers


def _unknown(layers: list[Layer], leaf: nn.Module, name: str) -> list[Layer]:
    allowed = ", ".join(f"nn.{kind.__name__}" for kind in (nn.Sequential, *READERS))
    raise _refused(
        leaf, name, f"it is no layer that the theory knows; allowed are {allowed}, in a chain"
    )


READERS: dict[type[nn.Module], Callable[[list[Layer], nn.Module, str], list[Layer]]] = {
    nn.Linear: _linear,
    nn.ReLU: _relu,
    nn.Identity: _identity,
    nn.Dropout: _dropout,
    nn.Flatten: _flatten,
}
"""For each kind of module: the layers so far, the module and its name -> the layers with it."""


def _check_shared(chain: list[tuple[str, nn.Module]]) -> None:
    """Refuse a layer with weights that is used twice: its uses could not be told apart."""
    seen: set[int] = set()
    for name, leaf in chain:
        for parameter in leaf.parameters(recurse=False):
            if id(parameter) in seen:
                raise _refused(leaf, name, "it shares its weights with another layer")
            seen.add(id(parameter))


@torch.no_grad()
def _check_output(module: nn.Module, network: Network) -> None:
    """Compare the module with the network as it was read, layer by layer and as a whole."""
    first, *others = module.parameters()
    if any(other.device != first.device for other in others):
        raise _refused(module, "", "its weights are on several devices")
    generator = torch.Generator().manual_seed(0)
    probe = torch.randn(_PROBES, network.widths[0], generator=generator)
    probe = probe.to(first.device, first.dtype)
    network = network.to(first.dtype, first.device)
    size = probe.abs()
    for layer in network.layers:
        size = layer.magnitude(size)
    activation = probe
    for name, leaf in _leaves(module, ""):
        before = activation.clone()
        activation = _applied(leaf, name, before)
        if isinstance(leaf, nn.Linear):
            alone = Layer(leaf.weight, torch.zeros_like(leaf.weight[:, 0]), relu=False)
            alone = alone if leaf.bias is None else replace(alone, bias=leaf.bias)
            _check_equal(leaf, name, activation, alone(before), alone.magnitude(before))
    _check_equal(module, "", _applied(module, "", probe.clone()), network.forward(probe), size)


def _applied(module: nn.Module, name: str, a: Tensor) -> Tensor:
    try:
        answer = module(a)
    except (RuntimeError, TypeError, ValueError) as error:
        raise _refused(module, name, "it does not answer a batch of vectors") from error
    if not isinstance(answer, Tensor):
        raise _refused(module, name, "its output is no tensor")
    return answer


def _check_equal(
    module: nn.Module, name: str, output: Tensor, expected: Tensor, size: Tensor
) -> None:
    allowed = max(_AGREEMENT, 8 * torch.finfo(size.dtype).eps) * size
    if output.shape != expected.shape or not ((output - expected).abs() <= allowed).all():
        advice = "; it is in training mode: call model.eval() first" * module.training
        raise _refused(module, name, f"its output is not what its weights say{advice}")


def _refused(module: nn.Module, name: str, reason: str) -> InvalidSetting:
    kind = type(module).__name__
    return InvalidSetting("model", f"{name} ({kind})" if name else kind, reason)


def flattens(module: nn.Module) -> bool:
    """Whether samples may have any shape, because the module flattens them first."""
    _, first = next(_leaves(module, ""), ("", module))
    return _is_plain(first, nn.Flatten)
