"""The nearest zero of a ReLU network over all of its linear regions, by integer programming."""

from dtd.roots.nearest.search import nearest_zero
from dtd.roots.nearest.target import METRICS, Target

__all__ = ["METRICS", "Target", "nearest_zero"]
