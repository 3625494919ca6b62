"""Networks as data, and what they are read from.

``network`` is a chain of ``layers``; the weights of an affine layer are one of the ``matrices``.
``modules``, ``files`` and ``onnx`` read networks, operation by operation, as ``steps`` of a chain.
"""
