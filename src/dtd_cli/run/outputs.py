"""What ``explain.output`` names: outputs of the network, by number or by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from dtd_cli.config.errors import SettingError

PREDICTED, LABEL = "predicted", "label"


def target_of(
    output: Any, outputs: int, labels: np.ndarray | None, own: np.ndarray | None
) -> object:
    """The target of an explanation, as the library takes it.

    Args:
        output: the setting: ``predicted``, ``label``, an output, or a list of two.
        outputs: how many the network has.
        labels: all labels of the data, whose classes in sorted order are the outputs.
        own: those of the samples; None as long as it is not known which samples there are.

    Raises:
        SettingError: there is no such class or no labels, or all classes have one output.
    """
    classes = [] if labels is None else [str(name) for name in np.unique(labels[~pd.isna(labels)])]
    if output == PREDICTED:
        return None
    named = [one for one in (output if isinstance(output, list) else [output]) if one in classes]
    if outputs == 1 and (named or (classes and output == LABEL)):
        raise SettingError(
            "explain.output",
            output,
            "the network has a single output for all classes; allowed is predicted, or 0",
        )
    if output == LABEL:
        if not classes:
            raise SettingError("explain.output", output, f"the inputs have no labels; {_ALLOWED}")
        return None if own is None else torch.tensor([_index(str(name), classes) for name in own])
    if isinstance(output, list):
        first, second = (_index(one, classes) for one in output)
        return first, second
    return _index(output, classes)


_ALLOWED = (
    "allowed are an output's index, predicted, label, a pair such as [3,5] for the difference of "
    "two, or names of classes instead of indices"
)


def _index(output: int | str, classes: Sequence[str]) -> int:
    if isinstance(output, int):
        return output
    if output in classes:
        return classes.index(output)
    named = f": {', '.join(classes[:20])}" if classes else "; these inputs have no labels"
    raise SettingError("explain.output", output, _ALLOWED + named)
