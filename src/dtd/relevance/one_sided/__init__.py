"""One-sided derivatives: the side of the anchor, and how a root is approached from it."""
