"""What one operation does to the activations of a layer, from its plain settings.

A step that cannot be is refused by its setting; whoever reads the operation adds its place.
"""
