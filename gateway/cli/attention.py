"""Who has said nothing for too long. Time is an argument, in seconds that never go back."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

PATIENCE: Final = timedelta(seconds=20)
"""Who is silent for so long hangs."""

_STOOD_STILL = 5.0  # seconds between two looks: then it was not the others who were silent
_TOLD_AFTER = 4  # a fraction of the patience

Finding = Literal["silent", "hangs"]


@dataclass(slots=True)
class _Heard:
    at: float
    told: bool = False


class Attention:
    """Of a supervisor to its workers, by their process ids."""

    def __init__(self, patience: timedelta) -> None:
        self._patience = patience.total_seconds()
        self._heard: dict[int, _Heard] = {}
        self._looked_at: float | None = None

    def hear(self, pid: int, now: float) -> None:
        """It said something, or has been started."""
        self._heard[pid] = _Heard(now)

    def forget(self, pid: int) -> None:
        """It is no more."""
        self._heard.pop(pid, None)

    def look(self, now: float) -> list[tuple[int, Finding, float]]:
        """Who is silent, told once, and who hangs; and for how many seconds each is silent.

        Where we stood still ourselves (a container that was paused, a machine that slept), all begin anew.
        """
        if self._looked_at is not None and now - self._looked_at > _STOOD_STILL:
            for pid in self._heard:
                self.hear(pid, now)
        self._looked_at = now
        found: list[tuple[int, Finding, float]] = []
        for pid, heard in self._heard.items():
            silent = now - heard.at
            if silent >= self._patience:
                found.append((pid, "hangs", silent))
            elif silent >= self._patience / _TOLD_AFTER and not heard.told:
                heard.told = True
                found.append((pid, "silent", silent))
        return found
