"""Settings: what they are called, what they may be, and the objects that they stand for."""
