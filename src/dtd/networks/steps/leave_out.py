"""Operations behind the logits of a classifier, which no theory is needed for."""

from __future__ import annotations

_BEHIND_LOGITS = ("softmax", "logsoftmax", "sigmoid", "logsigmoid")


def advice(name: str) -> str:
    """What the refusal of an operation of this name adds; empty where nothing helps.

    Args:
        name: of a module, a function, a method or an operator, as it is spelled there.
    """
    if name.lower().replace("_", "") not in _BEHIND_LOGITS:
        return ""
    return "if it is the output, leave it out, so that the logits are explained; "
