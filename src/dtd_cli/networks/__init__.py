"""Networks that the configuration names: they are drawn, or read from a file or from a module."""

from dtd_cli.networks.cnn import Convolutional
from dtd_cli.networks.files import File
from dtd_cli.networks.maximum import Maximum
from dtd_cli.networks.mlp import FullyConnected
from dtd_cli.networks.module import Module
from dtd_cli.networks.notebook import Notebook
from dtd_cli.networks.onnx import Onnx
from dtd_cli.networks.paper import Paper
from dtd_cli.networks.specification import NetworkSpec

NETWORKS: dict[str, type[NetworkSpec]] = {
    "mlp": FullyConnected,
    "cnn": Convolutional,
    "notebook": Notebook,
    "paper": Paper,
    "maximum": Maximum,
    "file": File,
    "module": Module,
    "onnx": Onnx,
}
"""The name of a network in the configuration, and its settings."""

__all__ = ["NETWORKS", "NetworkSpec"]
