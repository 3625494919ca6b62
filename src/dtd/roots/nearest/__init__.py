"""The nearest zero of a ReLU network over all of its linear regions, by integer programming."""

from dtd.roots.nearest.search import nearest_zero
from dtd.roots.nearest.target import Target

__all__ = ["Target", "nearest_zero"]
