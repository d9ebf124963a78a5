"""How long something lasts, as people say it."""

from datetime import timedelta


def spoken(lifetime: timedelta) -> str:
    """``30 minutes``, ``1 day``: the largest unit that says it in whole numbers."""
    seconds = int(lifetime.total_seconds())
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {unit}" + ("" if seconds == size else "s")
    return f"{max(1, seconds // 60)} minutes"
