"""Slow imports, which nothing disturbs."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def undisturbed() -> Iterator[None]:
    """Import with interrupts held back, and without looking for garbage.

    An import would turn an interrupt into another error, or none. Modules stay, so whoever looks
    for garbage among what they hold finds nothing, and takes a tenth of a short run for it.
    """
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    collects, modules = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        # Not where all was imported before: garbage of earlier runs would stay.
        if len(sys.modules) > modules:
            gc.freeze()
        if collects:
            gc.enable()
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
