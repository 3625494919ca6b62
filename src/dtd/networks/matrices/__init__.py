"""The matrix of an affine layer: dense, of a convolution, or of a mean over windows."""
