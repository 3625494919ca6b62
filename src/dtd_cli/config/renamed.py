"""Settings and values that had another name once: they are refused with the name of today."""

from __future__ import annotations

from dtd_cli.config.errors import SettingError

RENAMED = {
    "relevance.walks": "relevance.paths",
    "relevance.walks_per_sample": "relevance.sampled_paths",
    "relevance.estimator=walks": "relevance.estimator=monte_carlo",
}
"""The old name of a setting, or of one of its values, and the new one."""


def check_renamed(setting: str, value: object) -> None:
    """Refuse a setting or a value that has another name now.

    Raises:
        SettingError: it says how to write it.
    """
    now = RENAMED.get(setting) or RENAMED.get(f"{setting}={value}")
    if now:
        raise SettingError(setting, value, f"it was renamed; it is {now} now")
