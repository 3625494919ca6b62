"""The processes that ``launch=parallel`` starts: they end with the one that started them."""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import partial

from dtd_cli.app.terminal import be_patient

_EVERY = 0.5
"""Seconds between two looks."""


def prepare() -> None:
    """Have every process that joblib starts for this one begin with ``settle``.

    A process that waits for its first run does not see that nobody will send one.
    """
    # Slow to import, and only needed here.
    from joblib.parallel import LokyBackend, register_parallel_backend

    settled = partial(LokyBackend, initializer=settle, initargs=(os.getpid(),))
    register_parallel_backend("loky", settled)


def dismiss() -> None:
    """End the processes that joblib started, which keep the folder that they were started in.

    After a sweep that failed they end with this process, as ``settle`` has it.
    """
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)


def settle(parent: int) -> None:
    """In a process that joblib started: end when ``parent`` does, also if that was killed."""
    be_patient()
    threading.Thread(target=_watch, args=(parent,), name=_watch.__name__, daemon=True).start()


def _watch(parent: int) -> None:
    # A process whose parent is gone gets another one.
    while os.getppid() == parent:
        time.sleep(_EVERY)
    os.kill(os.getpid(), signal.SIGKILL)
