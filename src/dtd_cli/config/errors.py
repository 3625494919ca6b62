"""The error of a setting that has a value that it cannot have."""

from __future__ import annotations

from dtd.errors import InvalidSetting


class SettingError(InvalidSetting):
    """A refusal in the words of the command line.

    Its ``argument`` is the full name of a setting, as in ``rule.gamma``; its value is shown as
    one would write it there.
    """

    def __init__(self, argument: str, value: object, allowed: str) -> None:
        super().__init__(argument, as_written(value), allowed)


def as_written(value: object) -> object:
    """The value as the command line has it: YAML's words, and lists and mappings without quotes."""
    if value is None:
        return "null"
    if isinstance(value, list | tuple):
        return f"[{','.join(str(as_written(part)) for part in value)}]"
    if isinstance(value, dict):
        pairs = (f"{as_written(key)}:{as_written(part)}" for key, part in value.items())
        return f"{{{','.join(pairs)}}}"
    return str(value).lower() if isinstance(value, bool) else value
