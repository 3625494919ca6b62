"""Settings and values that had another name once: they are refused with the name of today."""

from __future__ import annotations

from dtd_cli.config.errors import SettingError, as_written

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
    now = RENAMED.get(f"{setting}={value}")
    if setting in RENAMED:
        now = f"{RENAMED[setting]}={as_written(value)}"
    if now:
        raise SettingError(setting, value, f"it was renamed; write {now}")
