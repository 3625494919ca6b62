"""A network read from an ONNX file: a chain of the operators that the theory knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from dtd.errors import InvalidSetting
from dtd.networks.matrices.windows import Shape
from dtd.networks.network import Network
from dtd.networks.onnx.constants import CONSTANT, given
from dtd.networks.onnx.graph import Graph, Node, line, read_graph
from dtd.networks.onnx.operators import COMMUTATIVE, OPERATORS, Call, step_of
from dtd.networks.steps import chain, leave_out
from dtd.networks.steps.step import Step, Walk, agree
from dtd.networks.steps.windows import LARGEST

_PROBES = 2
"""Random samples on which the package ``onnx`` is asked, which takes its time for images."""
_ALLOWED = f"allowed are {', '.join(OPERATORS)} and {CONSTANT}, in a chain"


def read(path: object, shape: Shape | None = None) -> Network:
    """The network in an ONNX file, compared on random samples with the evaluator of ``onnx``.

    ``shape`` is that of one sample, for a file that leaves it open.

    Raises:
        OpenShape: no shape is given, and that of images is open.
        InvalidSetting: the file has no chain of the operators in ``OPERATORS``, with one input of
            known shape and one output, or the network gives another output than the evaluator.
    """
    graph = read_graph(path, shape)
    _check_nodes(graph)
    tracing = _Tracing(graph, graph.input, graph.shape, dict(graph.constants))
    for node in graph.nodes:
        tracing.take(node)
    if tracing.last != graph.output:
        origin = tracing.named(graph.output)
        raise graph.refused(f"its output is {origin}; allowed is that of the last node")
    values, walk = _evaluated(graph), Walk()
    before = values[graph.input]
    for node, step in tracing.steps:
        after = values.get(node.proto.output[0])
        walk = walk.then(step, before, after, node.refused)
        assert after is not None
        before = after
    if not walk.layers:
        raise graph.refused(f"it has no layer with weights; {_ALLOWED}")
    try:
        network = chain.network(walk.layers)
    except InvalidSetting as error:
        raise graph.refused(f"{error.value}: {error.allowed}") from error
    inputs = values[graph.input].flatten(1)
    expected = network.to(graph.dtype).forward(inputs)
    if not agree(values[graph.output], expected, walk.size):
        raise graph.refused("the output is not what the package onnx says")
    return network


def _check_nodes(graph: Graph) -> None:
    """Refuse operators that the theory does not know, and nodes that ONNX does not allow."""
    from onnx import checker

    context = checker.C.CheckerContext()
    context.ir_version = graph.model.ir_version
    context.opset_imports = {"": graph.opset}
    for node in graph.nodes:
        proto = node.proto
        if proto.domain:
            raise node.refused(f"it is an operator of {proto.domain}; {_ALLOWED}")
        if proto.op_type not in {*OPERATORS, CONSTANT}:
            advice = leave_out.advice(proto.op_type)
            raise node.refused(f"it is no operator that the theory knows; {advice}{_ALLOWED}")
        try:
            checker.check_node(proto, context)
        except Exception as error:  # the package has errors of its own
            raise node.refused(f"it is no node that ONNX allows: {line(error)}") from error


@dataclass(eq=False)
class _Tracing:
    """Goes through the nodes, and keeps their steps and the shape of the activations so far."""

    graph: Graph
    last: str
    shape: Shape
    constants: dict[str, Tensor]
    origins: dict[str, Node] = field(default_factory=dict)
    """The nodes that give what is no constant."""
    steps: list[tuple[Node, Step]] = field(default_factory=list)

    def take(self, node: Node) -> None:
        """Add a node to the constants, or to the chain.

        Raises:
            InvalidSetting: it is neither.
        """
        constant = given(node, self.constants)
        if constant is not None:
            self.constants[node.proto.output[0]] = constant
            return
        self._check_chain(node)
        inputs = tuple(self.constants.get(name) for name in node.proto.input)
        step = step_of(Call(node, self.shape, inputs))
        step.check_inputs(self.shape, node.refused)
        self.shape = step.outputs(self.shape)
        if prod(self.shape) > LARGEST:
            raise node.refused(f"it has {prod(self.shape)} units; allowed are {LARGEST}")
        self.origins |= dict.fromkeys(node.proto.output, node)
        self.last = node.proto.output[0]
        self.steps.append((node, step))

    def _check_chain(self, node: Node) -> None:
        """Refuse a node that takes anything but constants and the output of the one before."""
        inputs = node.proto.input
        sources = [name for name in inputs if name and name not in self.constants]
        for name in sources:
            if name not in self.origins and name != self.graph.input:
                raise node.refused(
                    f"it takes {name}, which nothing before it gives; allowed are nodes in their "
                    "order, with all weights in the file"
                )
        if sources != [self.last]:
            taken = " and ".join(self.named(name) for name in sources) or "constants alone"
            raise node.refused(
                f"it takes {taken}, which is a branch; allowed is a chain, where each layer takes "
                "the output of the one before"
            )
        if inputs[0] != self.last and node.proto.op_type not in COMMUTATIVE:
            raise node.refused("its first input is a constant; allowed is a constant as its second")

    def named(self, name: str) -> str:
        """Which activations these are, by what gives them."""
        if name == self.graph.input:
            return "the input"
        return f"the output of {self.origins[name].place}" if name in self.origins else name


def _evaluated(graph: Graph) -> dict[str, Tensor]:
    """All that the evaluator of ``onnx`` computes of random samples, (N, ...), by name."""
    from onnx.reference import ReferenceEvaluator

    generator = np.random.default_rng(0)
    dtype = torch.zeros((), dtype=graph.dtype).numpy().dtype
    samples = generator.normal(size=(_PROBES, *graph.shape)).astype(dtype)
    try:
        evaluator = ReferenceEvaluator(graph.model)
        with np.errstate(all="ignore"):
            # One by one: a file may be for a batch of one.
            runs = [
                cast(dict[str, Any], evaluator.run(None, {graph.input: one}, intermediate=True))
                for one in np.split(samples, _PROBES)
            ]
    except Exception as error:  # the package has errors of its own
        raise graph.refused(f"the package onnx cannot evaluate it: {line(error)}") from error
    names = {graph.input, *(name for node in graph.nodes for name in node.proto.output)}
    return {
        name: torch.from_numpy(np.concatenate([run[name] for run in runs]))
        for name in names
        if name and name not in graph.constants and np.ndim(runs[0].get(name, 0)) > 1
    }
