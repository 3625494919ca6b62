"""The tree of nested roots below one input."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dtd.relevance.opposite import opposite_tree
from dtd.relevance.root_tree import of_roots, root_tree
from dtd_cli.records.paths import root_table
from dtd_cli.run.explanations import Explanations
from dtd_cli.run.preparation import Prepared


def nested_roots(prepared: Prepared, explanations: Explanations) -> pd.DataFrame:
    """Every root that R_0 of the first explained sample is made of.

    The roots of layer 0 are those of the units of layer 1, with the input as their anchor. To
    evaluate a relevance at such a root it has to be decomposed there, so the root's activation in
    layer 1 is the anchor of the units of layer 2, and so on. One row a unit; ``parent`` is the
    root at which it is decomposed, empty in layer 0.

    Source: RS (full backward pass).
    """
    sample = int(prepared.explained.nonzero()[0])
    output = prepared.outputs[sample]
    tree = root_tree(prepared.recursion_of(sample), 0, prepared.x[sample : sample + 1], of_roots)
    signed = tree if output.sign > 0 else opposite_tree(tree)
    return root_table(signed, np.array([sample]), output.unit).drop(columns="epsilon")
