"""What some options need: an optional package, and a number of processes."""

from __future__ import annotations

from importlib.util import find_spec

from dtd_cli.config.errors import SettingError

_EXTRAS = {
    "launch=parallel": ("parallel", "hydra_plugins.hydra_joblib_launcher"),
    "launch=slurm": ("cluster", "hydra_plugins.hydra_submitit_launcher"),
    "launch=slurm_local": ("cluster", "hydra_plugins.hydra_submitit_launcher"),
    "hydra/sweeper=optuna": ("optuna", "hydra_plugins.hydra_optuna_sweeper"),
    "logger=mlflow": ("mlflow", "mlflow"),
    "logger=wandb": ("wandb", "wandb"),
}
"""The extra that an option needs, and what it installs."""


def check_installed(group: str, option: str) -> None:
    """Refuse an option that needs something that is not installed.

    Raises:
        SettingError: it says how to install it.
    """
    extra, package = _EXTRAS.get(f"{group}={option}", ("", ""))
    if package and find_spec(package) is None:
        raise SettingError(group, option, f"not installed; pip install 'dtd-run[{extra}]'")


def processes(threads: int) -> int:
    """The number of processes, each of so many threads, for the cores of this machine."""
    # It knows the limits that containers set. It is slow to import.
    from joblib import cpu_count

    return max(1, int(cpu_count()) // max(1, threads))
