"""How long a revoked token still opens the API: what answers to it mean. Pure; who asks gives the clock."""

_ENOUGH = 8


class Watch:
    """Begins with the answer to ``/revoke``. One refusal is not enough: several processes serve, and each hears for
    itself. Eight in a row, of whoever happens to answer, are; the first of them is when it was.
    """

    def __init__(self, began: float, within: float) -> None:
        self._began, self._within = began, within
        self._refused_at: float | None = None
        self._refusals = 0
        self._last = began

    @property
    def goes_on(self) -> bool:
        """Whether to ask again. Past the time that is allowed only who has been refused already is asked on."""
        return self._refusals < _ENOUGH and (self._refusals > 0 or self._last - self._began <= self._within)

    def saw(self, status: int, now: float) -> None:
        """An answer. What is neither 200 nor 401 (a 503, a lost connection) lets nobody in and tells nothing."""
        self._last = now
        if status == 401:
            self._refused_at = now if self._refused_at is None else self._refused_at
            self._refusals += 1
        elif status == 200:
            self._refused_at, self._refusals = None, 0

    @property
    def milliseconds(self) -> float:
        """From the revocation to the first of the refusals; so far, where there is none."""
        return 1000 * ((self._last if self._refused_at is None else self._refused_at) - self._began)

    @property
    def wrong(self) -> str | None:
        """None where it was refused in time."""
        in_time = self._refused_at is not None and self._refused_at - self._began <= self._within
        return None if in_time else f"the API took a revoked token for more than {self._within:g} s"
