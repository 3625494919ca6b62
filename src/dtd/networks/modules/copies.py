"""Copies of a module, which is never changed itself, and what they answer."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from dtd.errors import InvalidSetting
from dtd.networks.modules.operations import ALLOWED

NO_LAYER = f"it has no layer with weights; allowed are {ALLOWED}"
ROOT = "module"


class Alone(nn.Module):
    """The module with one input: other arguments of its forward have their defaults."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> object:
        return self.module(x)


def copied(module: nn.Module) -> Alone:
    """A copy in which parametrised weights are what they are when the module is asked."""
    # Tensors that were computed, as a weight by weight_norm, have no copy of their own.
    computed = {
        id(value): value.detach().clone()
        for part in module.modules()
        for value in vars(part).values()
        if isinstance(value, Tensor)
    }
    try:
        copy = deepcopy(module, dict(computed))
    except Exception as error:
        raise refused(module, "it cannot be copied, and is never changed itself") from error
    for name, part in copy.named_modules():
        for hook in (*part._forward_pre_hooks.values(), *part._forward_hooks.values()):
            if type(hook) not in (WeightNorm, SpectralNorm):
                raise InvalidSetting(
                    "model",
                    f"{name} ({type(part).__name__})" if name else type(part).__name__,
                    "it has forward hooks, which may change its output; remove them",
                )
            with torch.no_grad():
                hook(part, ())
    return Alone(copy)


def answer_of(alone: Alone, samples: Tensor) -> object:
    """What the module says of samples; None where it cannot."""
    try:
        return alone(samples.clone())
    except Exception:  # a user's module may raise anything
        return None


def differing(alone: Alone, other: Alone) -> str:
    """The name of a tensor in the state that the two do not share; empty where they are alike."""
    there = other.state_dict()
    return next(
        (
            name.removeprefix(f"{ROOT}.")
            for name, tensor in alone.state_dict().items()
            if isinstance(tensor, Tensor) and not torch.equal(tensor, there[name])
        ),
        "",
    )


def advice_for(called: object) -> str:
    """What a refusal adds of a module in training mode; empty of any other."""
    training = isinstance(called, nn.Module) and called.training
    return "; it is in training mode: call model.eval() first" * training


def refused(module: nn.Module, reason: str) -> InvalidSetting:
    """The refusal of a module."""
    return InvalidSetting("model", type(module).__name__, reason)
