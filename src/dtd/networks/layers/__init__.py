"""The kinds of layers, and what each makes of the activations below it."""
