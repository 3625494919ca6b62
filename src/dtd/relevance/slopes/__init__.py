"""One-sided slopes ``∇⁺h_j`` of relevance functions at their roots (theory, section 2.2).

Two implementations of :class:`~dtd.relevance.slopes.slope.Slopes`: ``automatic`` differentiates
whatever the rules are, ``forward`` needs forward passes only, where relevance carries the
activation as a factor. ``needed`` says where the slope exists as a limit only. Such
limits are taken in ``dtd.relevance.limits``, and from a ``stencil`` where that cannot be.
``choice`` decides which of the two gives a slope.
"""
