"""All that is used of Hydra's inside, which its next version may change without a word.

Hydra has no public way to give its command line other words for errors, to sweep as its own
sweeper does but for what is done, or to run a job from a configuration that is composed already.
"""

from __future__ import annotations

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import _run_hydra as run_hydra
from hydra._internal.utils import get_args_parser
from hydra.core.utils import JobReturn, run_job

__all__ = [
    "WORKS_WITH", "BasicLauncher", "BasicSweeper", "JobReturn", "get_args_parser", "run_hydra",
    "run_job",
]  # fmt: skip

WORKS_WITH = ("1.3.8",)
"""The versions of Hydra that this was tried with."""
