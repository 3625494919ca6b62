"""One-sided limits, as they are defined: the recursion in many digits, near the roots.

Theory, section 2.4. ``limits`` compares two positions and says the error, ``positions`` has these,
and ``nested`` is the recursion, which ``evaluation`` computes for the roots of a layer.
"""
