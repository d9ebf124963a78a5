"""The small values of the configuration: durations, sizes, numbers, names, rates, paths. Each says what it wants."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from limits import parse_many
from pydantic import AfterValidator, BeforeValidator

_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SIZE = re.compile(r"([0-9]{1,9})(KiB|MiB|GiB)")
_BYTES = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_WHOLE = re.compile(r"[0-9]{1,9}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_SHARE = re.compile(r"1/([1-9][0-9]{0,8})|[01](?:\.[0-9]{1,18})?")
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_MAX_RATE_TEXT = 100


def is_slug(text: str) -> bool:
    """A tenant's slug is a DNS label, ASCII, lower case (design section 2): anything else is no tenant."""
    return _SLUG.fullmatch(text) is not None


def duration(value: object) -> timedelta:
    """``500ms`` ``2s`` ``15m`` ``24h`` ``7d``: one whole number and its unit."""
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a duration: a whole number and ms, s, m, h or d, as in 30s")
    return timedelta(milliseconds=int(match[1]) * _MILLISECONDS[match[2]])


def within(least: str, most: str) -> AfterValidator:
    """Both bounds are allowed."""
    low, high = duration(least), duration(most)

    def check(value: timedelta) -> timedelta:
        if low <= value <= high:
            return value
        raise ValueError(f"must be between {least} and {most}")

    return AfterValidator(check)


def sized(least: str, most: str) -> AfterValidator:
    """Both bounds are allowed."""
    low, high = size(least), size(most)

    def check(value: int) -> int:
        if low <= value <= high:
            return value
        raise ValueError(f"must be between {least} and {most}")

    return AfterValidator(check)


def between(least: int, most: int) -> AfterValidator:
    """Both bounds are allowed."""

    def check(value: int) -> int:
        if least <= value <= most:
            return value
        raise ValueError(f"must be between {least} and {most}")

    return AfterValidator(check)


def size(value: object) -> int:
    """``64KiB`` ``19MiB`` ``1GiB``, in bytes."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a size: a whole number and KiB, MiB or GiB, as in 19MiB")
    return int(match[1]) * _BYTES[match[2]]


def whole_number(value: object) -> int:
    """A number of the file, or its digits (the environment knows text only); never a boolean."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    raise ValueError("must be a whole number")


def share(value: object) -> float:
    """``0.25``, ``0``, ``1``, or ``1/100`` for one in a hundred. The environment knows text only."""
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    match = _SHARE.fullmatch(text) if isinstance(text, str) else None
    if match is not None and match[1] is not None:
        return 1 / int(match[1])
    if match is None or not 0 <= float(match[0]) <= 1:
        raise ValueError("must be a share between 0 and 1, as 0.25, or one in so many, as 1/100")
    return float(match[0])


def flag(value: object) -> bool:
    """``true`` or ``false`` and nothing that merely sounds like it."""
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise ValueError("must be true or false")


def name(value: object) -> str:
    """What an upstream or a route is called: it stands in logs, metrics and audit events."""
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise ValueError("must be a name: 1 to 63 ASCII letters, digits, `.`, `_` or `-`, the first a letter or digit")


def rate(value: object) -> str:
    """slowapi's notation, ``300/minute`` or several joined by ``;``. No limit of zero: that would be an outage."""
    said = "must be a rate, as in 300/minute or 10/second;300/minute"
    if not isinstance(value, str) or len(value) > _MAX_RATE_TEXT:
        raise ValueError(said)
    try:
        items = parse_many(value)
    except ValueError:
        raise ValueError(said) from None
    if any(item.amount < 1 or item.multiples < 1 for item in items):
        raise ValueError("a rate of zero lets nothing pass")
    return value


def file_path(value: object) -> Path:
    """Of a file or a folder; relative to the process's working directory."""
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("must be a path")
    if value.startswith("~"):
        raise ValueError("`~` is not expanded; write the folder out")
    return Path(value)


Duration = Annotated[timedelta, BeforeValidator(duration)]
Size = Annotated[int, BeforeValidator(size)]
WholeNumber = Annotated[int, BeforeValidator(whole_number)]
Share = Annotated[float, BeforeValidator(share)]
Flag = Annotated[bool, BeforeValidator(flag)]
Name = Annotated[str, BeforeValidator(name)]
Rate = Annotated[str, BeforeValidator(rate)]
FilePath = Annotated[Path, BeforeValidator(file_path)]
