"""The one error that is the user's to mend."""

from __future__ import annotations


class SettingError(ValueError):
    """A setting has a value that it cannot have.

    The message is one line for the terminal: the setting, its value, what is allowed.
    """

    def __init__(self, setting: str, value: object, allowed: str) -> None:
        self.setting, self.value, self.allowed = setting, value, allowed
        super().__init__(" ".join(f"{setting}={value}: {allowed}".split()))

    def __reduce__(self) -> tuple[type[SettingError], tuple[str, object, str]]:
        # Worker processes of a sweep send their errors home.
        return SettingError, (self.setting, self.value, self.allowed)
