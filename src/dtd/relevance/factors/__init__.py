"""The recursion by forward passes alone, where relevance carries the factor of its activation."""
