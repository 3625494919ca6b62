"""Networks in state dicts: what a file does not say is assumed, and what is in doubt is refused."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from dtd.errors import InvalidSetting, shown
from dtd.networks.files.checkpoints import DESCRIPTION, Checkpoint, read_checkpoint, refused
from dtd.networks.files.description import described, network_of
from dtd.networks.files.order import named_order, ordered
from dtd.networks.files.parts import parts_of
from dtd.networks.network import Network
from dtd.networks.steps import chain
from dtd.ranges import check_flag


def load(
    path: str | Path, output_relu: bool | None = None, layers: Sequence[str] | None = None
) -> Network:
    """The network in a state dict from ``torch.save``, or in a ``.safetensors`` file.

    Linear layers, each a 2-D weight with its bias if it has one, in the order of the file, or in
    that of the numbers in their names, if they differ in numbers only. What the file does not say
    is assumed: between layers there is a ReLU, and after the last one too unless ``output_relu``
    is false. Batch normalisation right after a linear layer (``0`` and ``1`` in a sequence) is
    folded into it, with ``eps=1e-5``. A file that :func:`save` has left of a network with
    convolutions or poolings says all of this itself. No tensor is left out, and no code in the
    file is ever run.

    Args:
        path: the file; the state dict may be an entry of a trainer's checkpoint.
        output_relu: whether the last layer has a ReLU, whatever the file says; None: as it says,
            and a ReLU where it says nothing.
        layers: the names of all layers, from the input up, where the file does not tell their
            order. Normalisation that is named after a layer is folded into it.

    Raises:
        InvalidSetting: the file is missing, or something in it is no such network or in doubt.
    """
    if output_relu is not None:
        check_flag("output_relu", output_relu)
    checkpoint = read_checkpoint(path)
    if checkpoint.description:
        network = _described(path, checkpoint, layers)
        return network if output_relu is None else network.with_output_relu(output_relu)
    parts = parts_of(path, checkpoint)
    named = named_order(layers, parts) if layers is not None else ordered(path, parts, checkpoint)
    made: chain.Layers = ()
    for below, part in pairwise([None, *named]):
        assert part is not None
        part.check(below, told=layers is not None, layers=made)
        made = chain.appended(chain.rectified(made) if made and part.is_linear else made, part.map)
    return chain.network(made if output_relu is False else chain.rectified(made))


def save(network: Network, path: Path) -> None:
    """Keep a network as ``.safetensors``, which :func:`load` reads."""
    import safetensors.torch

    # The library's own file is readable by its owner alone.
    text = described(network)
    metadata = {DESCRIPTION: text} if text else None
    path.write_bytes(safetensors.torch.save(network.state_dict(), metadata))


def _described(path: str | Path, checkpoint: Checkpoint, layers: object) -> Network:
    """The network of a file that says what its layers are."""
    if layers is not None:
        raise InvalidSetting("layers", shown(layers), f"{path} tells their order; allowed is none")
    try:
        return network_of(checkpoint.description, checkpoint.tensors)
    except InvalidSetting as error:
        raise refused(
            path,
            f"it is not the network that it describes: {error}; allowed is a file as a run or "
            "dtd.networks.files.state_dicts.save leaves it",
        ) from error
