"""``network=file``: weights that the user brings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from dtd.errors import InvalidSetting
from dtd.networks.files.checkpoints import description_in
from dtd.networks.files.state_dicts import load
from dtd.networks.loading import ONNX
from dtd.networks.network import Network
from dtd_cli.config.errors import SettingError
from dtd_cli.config.values import FilePath, Seed, Text
from dtd_cli.networks.given import Given


@dataclass(frozen=True)
class File(Given):
    """A state dict from ``torch.save`` or a ``.safetensors`` file; sizes follow from it.

    ``layers`` names its layers in their order, where the file does not tell it. Without an
    ``output_activation`` it is what the file says, and a ReLU where that says nothing.
    """

    seed: Seed
    output_activation: Literal["relu", "linear"] | None
    path: FilePath
    layers: list[Text] | None = None

    @property
    def assumed(self) -> str:
        if description_in(self.path):
            return ""
        last = "none" if self.output_activation == "linear" else "a ReLU"
        return (
            f"{self.path} does not say its activations: a ReLU is assumed between its layers, and "
            f"{last} after the last one (network.output_activation)"
        )

    @cached_property
    def network(self) -> Network:
        if self.path.endswith(ONNX):
            raise SettingError("network.path", self.path, "an ONNX file; take network=onnx")
        relu = {None: None, "relu": True, "linear": False}[self.output_activation]
        try:
            return load(self.path, relu, self.layers)
        except InvalidSetting as error:
            allowed = error.allowed.replace("layers=", "network.layers=").replace(
                "explain the module itself", "take network=module"
            )
            raise SettingError(f"network.{error.argument}", error.value, allowed) from error
