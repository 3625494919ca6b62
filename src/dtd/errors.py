"""The one error that a caller can make: an argument has a value that it cannot have."""

from __future__ import annotations


class InvalidSetting(ValueError):
    """An argument has a value that it cannot have.

    The message is one line: the argument, its value, what is allowed and what to do.
    """

    def __init__(self, argument: str, value: object, allowed: str) -> None:
        self.argument, self.value, self.allowed = argument, value, allowed
        given = f"{argument}={value}" if f"{value}" else argument
        super().__init__(" ".join(f"{given}: {allowed}".split()))

    def __reduce__(self) -> tuple[type[InvalidSetting], tuple[str, object, str]]:
        # Worker processes send their errors home.
        return type(self), (self.argument, self.value, self.allowed)


def check_seed(argument: str, seed: int) -> None:
    """Refuse what no generator takes.

    Raises:
        InvalidSetting: the seed is negative or has more than 63 bits.
    """
    if not 0 <= seed < 2**63:
        raise InvalidSetting(argument, seed, "allowed is any integer >= 0 and < 2**63")


def shown(value: object) -> object:
    """A value as a message shows it: what is short as it is, all else by its type."""
    text = str(value)
    return value if len(text) <= 40 and "\n" not in text else type(value).__name__
