"""The operations of a module as ``torch.fx`` traces them, each compared with its step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from dtd.networks.modules.copies import ROOT, Alone, advice_for, refused
from dtd.networks.modules.operation import Operation
from dtd.networks.modules.operations import reader_of, step_of, unknown
from dtd.networks.steps.step import Walk


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return reader_of(m) is not None or super().is_leaf_module(m, module_qualified_name)


def traced_graph(alone: Alone) -> fx.Graph:
    """The operations of the module, each submodule known to the theory or refused."""
    try:
        graph = _Tracer().trace(alone)
    except Exception as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise refused(alone.module, f"torch.fx cannot trace it: {said}") from error
    for node in graph.nodes:
        if node.op == "call_module" and reader_of(alone.get_submodule(str(node.target))) is None:
            raise unknown(operation_of(alone, node, (), {}))
    return graph


def operation_of(
    alone: Alone, node: fx.Node, arguments: tuple[object, ...], named: Mapping[str, object]
) -> Operation:
    """The operation of a node, with its place: the innermost module in which it stands."""
    path, kind = list(node.meta["nn_module_stack"].values())[-1]
    name = path.removeprefix(ROOT).removeprefix(".")
    called = alone.get_submodule(str(node.target)) if node.op == "call_module" else node.target
    place = f"{name} ({kind.__name__})" if name else kind.__name__
    return Operation(place, called, arguments, named)


class Interpreter(fx.Interpreter):
    """Goes through the operations with samples, and keeps the layers so far."""

    def __init__(self, alone: Alone, graph: fx.Graph) -> None:
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
                raise refused(self.alone.module, f"{said}; allowed is that of the last layer")
            return super().run_node(n)
        arguments, named = self.fetch_args_kwargs_from_env(n)
        operation = operation_of(self.alone, n, arguments, named)
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
        advice = advice_for(operation.called)
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
            else f"the output of {operation_of(self.alone, source, (), {}).origin}"
            for source in sources
        )
