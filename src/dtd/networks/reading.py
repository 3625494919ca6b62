"""A network read from a ``torch.nn.Module``: a chain of the operations that the theory knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from math import prod
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from dtd.errors import InvalidSetting
from dtd.networks.chain import Layers, network
from dtd.networks.matrices.windows import Shape
from dtd.networks.network import Network
from dtd.networks.operation import Operation
from dtd.networks.operations import ALLOWED, reader_of, step_of, unknown
from dtd.networks.steps import Walk, agree

_PROBES, _FEWER = 8, 3
_ONES = ((), (1,), (1, 1))
"""What may stand before the inputs of a sample, where a module flattens only such samples."""
_SIDES = range(1, 257)
"""Of the square images that are tried where weights do not tell a shape."""
_NO_LAYER = f"it has no layer with weights; allowed are {ALLOWED}"
_ROOT = "module"


@dataclass(frozen=True, eq=False)
class Reading:
    """The network of a module, and whether samples may have any shape, as they are flattened.

    ``answer`` gives the module's output for samples (N, d), or None where it gives none.
    """

    network: Network
    flattens: bool = False
    answer: Callable[[Tensor], object] | None = None
    name: str = ""

    def check(self, x: Tensor) -> None:
        """Compare the module's output on samples ``x`` (N, d) with the network's.

        Raises:
            InvalidSetting: they differ by more than rounding in the module's precision.
        """
        if self.answer is None:
            return
        answer = self.answer(x)
        if isinstance(answer, Tensor):
            x = x.to(answer)
            network, size = self.network.to(x.dtype, x.device), x.abs()
            for layer in network.layers:
                size = layer.magnitude(size)
            if agree(answer, network.forward(x), size):
                return
        raise InvalidSetting(
            "model", self.name, "on these samples its output is not what its weights say"
        )


def read(module: nn.Module, shape: Shape | None = None) -> Reading:
    """The network that a module computes; the module is not changed.

    Allowed is what ``torch.fx`` traces to a chain of the operations in
    ``dtd.networks.operations``. Batch normalisation in evaluation mode is folded, and parametrised
    weights are taken as they are. A layer may be used twice. ``shape`` is that of one sample; of
    a module that begins with a convolution its weights do not always tell it.

    Raises:
        InvalidSetting: it is no such chain, or its output on a probe is another than the
            network's.
    """
    # To run a module may change it: what is traced and what is asked are copies.
    traced, asked, evaluating = (_copy(module) for _ in range(3))
    evaluating.eval()
    graph = _traced(traced)
    with torch.no_grad():
        samples = _probe(asked, graph, shape)
        interpreter = _Interpreter(traced, graph)
        interpreter.run(samples)
        if not interpreter.walk.layers:
            raise _refused(module, _NO_LAYER)
        chain = _network(module, interpreter.walk.layers)
        expected = chain.to(samples.dtype, samples.device).forward(samples.flatten(1))
        answers = [_answer(alone, samples) for alone in (asked, evaluating)]
        fewer = _answer(deepcopy(evaluating), samples[:_FEWER])
    advice = _advice(module)
    size = interpreter.walk.size
    told = [(answer, expected, size) for answer in answers]
    # A module may be written for one number of samples.
    told.append((fewer, expected[:_FEWER], size[:_FEWER]))
    if not all(agree(*one) for one in told):
        raise _refused(module, f"its output is not what its weights say{advice}")
    changed = _differing(asked, evaluating)
    if changed:
        raise _refused(module, f"to ask it changes {changed} in training mode{advice}")
    flattens = interpreter.flattens and len(chain.shapes[0]) == 1

    @torch.no_grad()
    def answer(x: Tensor) -> object:
        return _answer(evaluating, x.view(len(x), *samples.shape[1:]).to(samples))

    return Reading(chain, flattens, answer, type(module).__name__)


def _network(module: nn.Module, layers: Layers) -> Network:
    try:
        return network(layers)
    except InvalidSetting as error:
        raise _refused(module, f"{error.value}: {error.allowed}") from error


class _Alone(nn.Module):
    """The module with one input: other arguments of its forward have their defaults."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> object:
        return self.module(x)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return reader_of(m) is not None or super().is_leaf_module(m, module_qualified_name)


def _copy(module: nn.Module) -> _Alone:
    """A copy in which parametrised weights are what they are when the module is asked."""
    # Tensors that were computed, as a weight by weight_norm, have no copy of their own.
    computed = {
        id(value): value.detach().clone()
        for part in module.modules()
        for value in vars(part).values()
        if isinstance(value, Tensor)
    }
    try:
        copy = deepcopy(module, dict(computed))
    except Exception as error:
        raise _refused(module, "it cannot be copied, and is never changed itself") from error
    for name, part in copy.named_modules():
        for hook in (*part._forward_pre_hooks.values(), *part._forward_hooks.values()):
            if type(hook) not in (WeightNorm, SpectralNorm):
                raise InvalidSetting(
                    "model",
                    f"{name} ({type(part).__name__})" if name else type(part).__name__,
                    "it has forward hooks, which may change its output; remove them",
                )
            with torch.no_grad():
                hook(part, ())
    return _Alone(copy)


def _traced(alone: _Alone) -> fx.Graph:
    """The operations of the module, each submodule known to the theory or refused."""
    try:
        graph = _Tracer().trace(alone)
    except Exception as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise _refused(alone.module, f"torch.fx cannot trace it: {said}") from error
    for node in graph.nodes:
        if node.op == "call_module" and reader_of(alone.get_submodule(str(node.target))) is None:
            raise unknown(_operation(alone, node, (), {}))
    return graph


def _operation(
    alone: _Alone, node: fx.Node, arguments: tuple[object, ...], named: Mapping[str, object]
) -> Operation:
    """The operation of a node, with its place: the innermost module in which it stands."""
    path, kind = list(node.meta["nn_module_stack"].values())[-1]
    name = path.removeprefix(_ROOT).removeprefix(".")
    called = alone.get_submodule(str(node.target)) if node.op == "call_module" else node.target
    place = f"{name} ({kind.__name__})" if name else kind.__name__
    return Operation(place, called, arguments, named)


class _Interpreter(fx.Interpreter):
    """Goes through the operations with samples, and keeps the layers so far."""

    def __init__(self, alone: _Alone, graph: fx.Graph) -> None:
        super().__init__(alone, graph=graph)
        # It would write pages into the messages of refusals.
        self.extra_traceback = False
        self.alone = alone
        self.walk = Walk()
        self.flattens = False
        self.last = next(iter(graph.nodes))

    def run_node(self, n: fx.Node) -> Any:
        """The value of a node; an operation is compared with its step."""
        if n.op in ("placeholder", "get_attr"):
            return super().run_node(n)
        if n.op == "output":
            if n.args[0] is not self.last:
                said = f"its output is {self._named(n.all_input_nodes) or 'no tensor'}"
                raise _refused(self.alone.module, f"{said}; allowed is that of the last layer")
            return super().run_node(n)
        arguments, named = self.fetch_args_kwargs_from_env(n)
        operation = _operation(self.alone, n, arguments, named)
        if reader_of(operation.called) is None:
            answer = self._applied(n, operation)
            if isinstance(answer, int | torch.Size):  # a size, which is no activation
                return answer
        self._check_chain(n, operation)
        step = step_of(operation)
        # An operation in place changes its input.
        before = self.env[self.last].clone()
        step.check_inputs(operation.image, operation.refused)
        answer = self._applied(n, operation)
        advice = _advice(operation.called)
        self.flattens |= step.flattens and not self.walk.layers
        self.walk = self.walk.then(step, before, answer, operation.refused, advice)
        self.last = n
        return answer

    def _applied(self, n: fx.Node, operation: Operation) -> Any:
        try:
            return super().run_node(n)
        except Exception as error:
            raise operation.refused("it does not answer a batch of vectors") from error

    def _check_chain(self, n: fx.Node, operation: Operation) -> None:
        """Refuse an operation on anything but the output of the one before."""
        sources = [
            source
            for source in n.all_input_nodes
            if source.op != "get_attr" and isinstance(self.env[source], Tensor)
        ]
        if sources != [self.last] or n.args[:1] != (self.last,):
            raise operation.refused(
                f"it takes {self._named(sources) or 'no activations'}, which is a branch; "
                "allowed is a chain, where each layer takes the output of the one before"
            )

    def _named(self, sources: Iterable[fx.Node]) -> str:
        """Which outputs these are, by the places of what gives them."""
        return " and ".join(
            "the input"
            if source.op == "placeholder"
            else f"the output of {_operation(self.alone, source, (), {}).origin}"
            for source in sources
        )


def _probe(alone: _Alone, graph: fx.Graph, shape: Shape | None) -> Tensor:
    """Random samples (N, *shape) that the module takes, on its device and in its dtype."""
    root = alone.module
    tensors = [*root.parameters(), *root.buffers()]
    if len({tensor.device for tensor in tensors}) > 1:
        raise _refused(root, "its weights are on several devices; move them to one")
    if not tensors:
        raise _refused(root, _NO_LAYER)
    if shape is None:
        shape = _input_shape(alone, graph)
    generator = torch.Generator().manual_seed(0)
    first = next(tensor for tensor in tensors if tensor.is_floating_point() or tensor.is_complex())
    probe = torch.randn(_PROBES, *shape, generator=generator)
    return probe.to(first.device, first.dtype)


def _input_shape(alone: _Alone, graph: fx.Graph) -> Shape:
    """The shape of one sample, as far as the weights tell it.

    Raises:
        InvalidSetting: they leave it open.
    """
    inputs = next((i for node in graph.nodes if (i := _inputs_of(alone, node)) is not None), None)
    if inputs is None:
        raise _refused(alone.module, _NO_LAYER)
    (size, places), alone = inputs, deepcopy(alone).to("meta")
    if not places:
        shapes = [(*ones, size) for ones in _ONES]
        # What fits none is refused with its place when it is walked interpreter.
        return next((shape for shape in shapes if _takes(alone, shape)), shapes[0])
    squares = [(size, *[side] * places) for side in _SIDES]
    flat = [(prod(shape),) for shape in squares]
    # Of those that fit two are enough to know that the weights do not tell.
    fitting = list(islice((shape for shape in squares if _takes(alone, shape)), 2))
    fitting = fitting or list(islice((shape for shape in flat if _takes(alone, shape)), 2))
    if len(fitting) == 1:
        return fitting[0]
    several = [" x ".join(map(str, shape)) for shape in fitting]
    said = f"it takes inputs of {' and of '.join(several)}" if fitting else "no square images fit"
    raise _refused(alone.module, f"{said}; give their shape: input_shape=(channels, height, width)")


def _inputs_of(alone: _Alone, node: fx.Node) -> tuple[int, int] | None:
    """How many inputs or channels a node takes, and in how many dimensions, if weights say so."""
    if node.op == "call_module":
        module = alone.get_submodule(str(node.target))
        channels, size = (getattr(module, name, None) for name in ("in_channels", "kernel_size"))
        if isinstance(size, tuple) and channels is not None:
            return int(channels), len(size)
        size = getattr(module, "in_features", getattr(module, "num_features", None))
        return None if size is None else (int(size), 2 * isinstance(module, nn.BatchNorm2d))
    if node.target in (functional.linear, functional.conv1d, functional.conv2d):
        named = next((n for n in node.all_input_nodes if n.op == "get_attr"), None)
        if named is not None:
            weight = alone.get_parameter(str(named.target))
            groups = node.kwargs.get("groups", node.args[6] if len(node.args) > 6 else 1)
            return weight.shape[1] * (groups if isinstance(groups, int) else 1), weight.dim() - 2
    return None


def _takes(alone: _Alone, shape: Shape) -> bool:
    """Whether the module without its numbers answers samples of the shape."""
    first = next(iter([*alone.parameters(), *alone.buffers()]))
    return _answer(alone, torch.empty(_PROBES, *shape).to(first)) is not None


def _answer(alone: _Alone, samples: Tensor) -> object:
    """What the module says of samples; None where it cannot."""
    try:
        return alone(samples.clone())
    except Exception:  # a user's module may raise anything
        return None


def _differing(alone: _Alone, other: _Alone) -> str:
    """The name of a tensor in the state that the two do not share; empty where they are alike."""
    there = other.state_dict()
    return next(
        (
            name.removeprefix(f"{_ROOT}.")
            for name, tensor in alone.state_dict().items()
            if isinstance(tensor, Tensor) and not torch.equal(tensor, there[name])
        ),
        "",
    )


def _advice(called: object) -> str:
    training = isinstance(called, nn.Module) and called.training
    return "; it is in training mode: call model.eval() first" * training


def _refused(module: nn.Module, reason: str) -> InvalidSetting:
    return InvalidSetting("model", type(module).__name__, reason)
