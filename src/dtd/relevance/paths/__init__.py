"""Relevance by the paths that it takes: all (theory, section 5.5), or a sample (section 5.6)."""
