"""A setting of the command line has a value that it cannot have."""

from __future__ import annotations

from dtd.errors import InvalidSetting


class SettingError(InvalidSetting):
    """The ``argument`` is the name of a setting, as in ``rule.gamma``."""
