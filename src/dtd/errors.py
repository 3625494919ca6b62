"""The errors that a caller can make: an argument has a value that it cannot have."""

from __future__ import annotations

FIRST_LAYER_ALONE = "zB is for the first layer alone (input_rule=zB)"
"""What a message that lists the rules adds."""


class InvalidSetting(ValueError):
    """An argument has a value that it cannot have.

    The message is one line: the argument, its value, what is allowed and what to do.
    """

    def __init__(self, argument: str, value: object, allowed: str) -> None:
        self.argument, self.value, self.allowed = argument, value, allowed
        given = f"{argument}={value}" if f"{value}" else argument
        super().__init__(" ".join(f"{given}: {allowed}".split()))

    def __reduce__(self) -> tuple[type[InvalidSetting], tuple[object, ...]]:
        # Worker processes send their errors home.
        return type(self), (self.argument, self.value, self.allowed)


class OpenShape(InvalidSetting):
    """The weights of a module leave open of what shape its inputs are."""


class OutOfRange(InvalidSetting):
    """On the way of one sample a number leaves the range of the dtype.

    ``sample`` is its place in the batch, and ``what`` the number that leaves.
    """

    def __init__(self, argument: str, sample: int, what: str, dtype: str) -> None:
        self.sample, self.what, self.dtype = sample, what, dtype
        super().__init__(
            argument,
            f"sample {sample}",
            f"{what} leaves the range of {dtype.removeprefix('torch.')}; allowed are inputs and "
            "weights of a size nearer to 1",
        )

    def __reduce__(self) -> tuple[type[OutOfRange], tuple[object, ...]]:
        return type(self), (self.argument, self.sample, self.what, self.dtype)


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
