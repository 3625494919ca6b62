"""A network read from a ``torch.nn.Module``: a chain of the operations that the theory knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dtd.errors import InvalidSetting
from dtd.networks.matrices.windows import Shape
from dtd.networks.modules.copies import NO_LAYER, advice_for, answer_of, copied, differing, refused
from dtd.networks.modules.samples import probe
from dtd.networks.modules.tracing import Interpreter, traced_graph
from dtd.networks.network import Network
from dtd.networks.steps.chain import Layers, network
from dtd.networks.steps.step import agree

_FEWER = 3


@dataclass(frozen=True, eq=False)
class Reading:
    """The network of a module, and whether samples may have any shape, as they are flattened.

    ``answer`` gives the module's output for samples (N, d), or None where it gives none.
    """

    network: Network
    flattens: bool = False
    answer: Callable[[Tensor], object] | None = None
    name: str = ""

    def check(self, network: Network, path: Sequence[Tensor]) -> None:
        """Compare the module's output on N samples with the network's.

        Args:
            network: a copy of the network, in the dtype and on the device of the samples.
            path: the activations of the samples in all layers, each (N, d_l).

        Raises:
            InvalidSetting: they differ by more than rounding in the coarser precision of the two.
        """
        if self.answer is None:
            return
        x, *_, y = path
        answer = self.answer(x)
        if isinstance(answer, Tensor) and answer.is_floating_point():
            dtype = max(answer.dtype, y.dtype, key=lambda dtype: torch.finfo(dtype).eps)
            answer, y = answer.to(y.device, dtype), y.to(dtype)
            # The size is never below the output, by which nearly all samples agree.
            if agree(answer, y, y.abs()) or agree(answer, y, network.magnitude(x).to(dtype)):
                return
        raise InvalidSetting(
            "model", self.name, "on these samples its output is not what its weights say"
        )


def read(module: nn.Module, shape: Shape | None = None) -> Reading:
    """The network that a module computes; the module is not changed.

    Allowed is what ``torch.fx`` traces to a chain of the operations in
    ``dtd.networks.modules.operations``. Batch normalisation in evaluation mode is folded, and
    parametrised weights are taken as they are. A layer may be used twice. ``shape`` is that of one
    sample; of a module that begins with a convolution its weights do not always tell it.

    Raises:
        InvalidSetting: it is no such chain, or its output on a probe is another than the
            network's.
    """
    # To run a module may change it: what is traced and what is asked are copies.
    traced, asked, evaluating = (copied(module) for _ in range(3))
    evaluating.eval()
    graph = traced_graph(traced)
    with torch.no_grad():
        samples = probe(asked, graph, shape)
        interpreter = Interpreter(traced, graph)
        interpreter.run(samples)
        if not interpreter.walk.layers:
            raise refused(module, NO_LAYER)
        chain = _network(module, interpreter.walk.layers)
        expected = chain.to(samples.dtype, samples.device).forward(samples.flatten(1))
        answers = [answer_of(alone, samples) for alone in (asked, evaluating)]
        fewer = answer_of(deepcopy(evaluating), samples[:_FEWER])
    advice = advice_for(module)
    size = interpreter.walk.size
    told = [(answer, expected, size) for answer in answers]
    # A module may be written for one number of samples.
    told.append((fewer, expected[:_FEWER], size[:_FEWER]))
    if not all(agree(*one) for one in told):
        raise refused(module, f"its output is not what its weights say{advice}")
    changed = differing(asked, evaluating)
    if changed:
        raise refused(module, f"to ask it changes {changed} in training mode{advice}")
    flattens = interpreter.flattens and len(chain.shapes[0]) == 1

    @torch.no_grad()
    def answer(x: Tensor) -> object:
        return answer_of(evaluating, x.view(len(x), *samples.shape[1:]).to(samples))

    return Reading(chain, flattens, answer, type(module).__name__)


def _network(module: nn.Module, layers: Layers) -> Network:
    try:
        return network(layers)
    except InvalidSetting as error:
        raise refused(module, f"{error.value}: {error.allowed}") from error
