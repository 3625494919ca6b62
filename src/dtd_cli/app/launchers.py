"""What the options of ``launch`` need: an optional package, and a number of processes."""

from __future__ import annotations

from importlib.util import find_spec

from dtd_cli.config.errors import SettingError

_EXTRAS = {
    "parallel": ("parallel", "hydra_plugins.hydra_joblib_launcher"),
    "slurm": ("cluster", "hydra_plugins.hydra_submitit_launcher"),
    "slurm_local": ("cluster", "hydra_plugins.hydra_submitit_launcher"),
}


def check_installed(launch: str) -> None:
    """Refuse a way to launch that is not installed.

    Raises:
        SettingError: it says how to install it.
    """
    extra, plugin = _EXTRAS[launch]
    if find_spec(plugin) is None:
        raise SettingError("launch", launch, f"not installed; pip install 'dtd-run[{extra}]'")


def processes(threads: int) -> int:
    """The number of processes, each of so many threads, for the cores of this machine."""
    # It knows the limits that containers set. It is slow to import.
    from joblib import cpu_count

    return max(1, int(cpu_count()) // max(1, threads))
