"""The terminal: who reads the output may stop to, and Ctrl-C ends the program, once or twice."""

from __future__ import annotations

import io
import os
import signal
import sys
from types import FrameType
from typing import Any

INTERRUPTED = 130


class _Patient(io.FileIO):
    """Writes to a stream, or to nobody once nobody reads it, as after ``| head -1``."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return len(data)


def be_patient() -> None:
    """Have what is printed go nowhere once nobody reads it, and have it in any encoding.

    A letter that the terminal's encoding lacks is written by its code point.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or stream is not getattr(sys, f"__{name}__"):
            continue  # somebody else's, or closed
        buffer = io.BufferedWriter(_Patient(stream.fileno(), "w", closefd=False))
        patient = io.TextIOWrapper(
            buffer, stream.encoding, "backslashreplace", line_buffering=name == "stderr"
        )
        stream.flush()
        setattr(sys, name, patient)


def draw_alike() -> None:
    """Have pictures drawn alike everywhere: not as a notebook or the user's own settings say."""
    # Matplotlib reads them when it is imported, also in the processes that are started here.
    os.environ |= {"MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull}


def keep_numpy_to_one_thread() -> None:
    """Have numpy's linear algebra use one thread: matrices here are small, and threads that wait
    for each other take longer than the work."""
    # Read when numpy is imported, also in the processes that are started here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def interrupt_twice() -> None:
    """Have a second Ctrl-C end the process at once, whatever it does about the first."""

    def first(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
        raise KeyboardInterrupt

    # In the background job of a script it is ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, first)
