"""What explains samples: the recursion, exact or from sampled paths; methods to compare with."""
