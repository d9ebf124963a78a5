"""When a serving process looks for garbage: seldom, and not in what it was made of.

A request leaves no reference cycle behind, nor does a connection that ends, so little waits for the collector; but with
Python's default it would look several times while 64 requests are under way, at what is all alive, and now and then
through every module and schema. DECISIONS.md, entry 25, has what that cost.
"""

import gc

_MORE_BEFORE_A_LOOK = 20_000
"""Containers made and not yet freed. What is left in cycles meanwhile (by an exception, by a login) is a few MiB."""


def settle() -> None:
    """Call once, when everything is loaded and nothing is served yet."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_MORE_BEFORE_A_LOOK, *gc.get_threshold()[1:])
