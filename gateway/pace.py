"""When an answer may leave: not before a time that whoever asked cannot learn from.

What is refused before a password is hashed takes a few milliseconds, and a tenth of one more for a name that is
somebody's: rows to read. So it waits for a moment that lies behind both. Not in a transaction.
"""

import asyncio


def now() -> float:
    """Seconds of the event loop's clock."""
    return asyncio.get_running_loop().time()


async def no_sooner(came_at: float, seconds: float) -> None:
    """Return ``seconds`` after ``came_at`` (of ``now``), or at once where that is over."""
    left = came_at + seconds - now()
    if left > 0:
        await asyncio.sleep(left)
