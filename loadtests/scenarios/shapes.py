"""How many users there are at a time: constant, a ramp, or spikes. Pure; the locustfile gives the clock."""

from typing import Literal, get_args

Shape = Literal["constant", "ramp", "spike"]
SHAPES: tuple[Shape, ...] = get_args(Shape)

_SPIKE_SHARE = 4  # a spike is the last quarter of each period


def users_at(shape: Shape, seconds: float, *, users: int, peak: int, period: float) -> int:
    """``users`` is the base, ``peak`` the most, ``period`` (seconds) how long a ramp takes or a spike recurs after.

    constant: always ``users``. ramp: from ``users`` to ``peak`` within one period, then ``peak``. spike: ``users``, and
    ``peak`` in the last quarter of every period.
    """
    match shape:
        case "constant":
            return users
        case "ramp":
            return users + round((peak - users) * min(1.0, seconds / period))
        case "spike":
            return peak if (seconds % period) >= period * (_SPIKE_SHARE - 1) / _SPIKE_SHARE else users
