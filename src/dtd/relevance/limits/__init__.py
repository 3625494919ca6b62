"""One-sided limits, as they are defined: the recursion in many digits, near the roots.

Theory, section 2.4. Begin with ``nested``, which is the recursion, and ``positions``, which says
how near to the roots it is taken. ``evaluation`` computes it for the roots of a layer, and
``limits`` compares two positions and says the error.
"""
