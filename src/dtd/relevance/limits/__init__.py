"""One-sided limits, as they are defined: the recursion in many digits, near the roots."""
