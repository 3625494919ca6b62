"""The processes that ``launch=parallel`` starts: they end with the one that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time

from dtd_cli.app.terminal import be_patient

_EVERY = 0.5
"""Seconds between two looks."""


def settle(parent: int) -> None:
    """In a process that joblib started: end when ``parent`` does, also if that was killed."""
    started = multiprocessing.current_process().name.startswith("Loky")
    settled = any(thread.name == _watch.__name__ for thread in threading.enumerate())
    if started and not settled:
        be_patient()
        threading.Thread(target=_watch, args=(parent,), name=_watch.__name__, daemon=True).start()


def _watch(parent: int) -> None:
    # A process whose parent is gone gets another one.
    while os.getppid() == parent:
        time.sleep(_EVERY)
    os.kill(os.getpid(), signal.SIGKILL)
