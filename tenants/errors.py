"""What the store refuses, in words for the person who asked. The gateway maps these to its protocols' errors."""


class StoreError(Exception):
    """A change that cannot be made; ``str`` is a sentence without secrets."""


class AlreadyExists(StoreError):
    """The name is taken in this tenant."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"{kind} {name!r} exists already")


class NotFound(StoreError):
    """There is no such row in this tenant."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"there is no {kind} {name!r}")


class InvalidValue(StoreError):
    """A value outside of what the field may hold."""


class Unreadable(Exception):
    """A row that a newer version wrote, or that is damaged. What it is of is as good as not there."""
