"""Relevance by the paths through the network that it takes: all of them, or a sample."""
