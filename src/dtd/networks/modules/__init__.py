"""Networks read from a ``torch.nn.Module``."""
