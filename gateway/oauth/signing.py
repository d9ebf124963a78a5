"""What an issuer answers that has no key to sign with: its last one was revoked, and none was promoted."""

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.errors import Overloaded
from tenants.keys import NoActiveKey

_RETRY_AFTER = 30  # seconds: somebody has to promote a key


@contextmanager
def needs_a_key() -> Iterator[None]:
    """Around what signs, and outside of the step that it is in: nothing of that step is kept.

    Raises:
        Overloaded: in place of NoActiveKey, which ``tenants.issuers`` puts into the log.
    """
    try:
        yield
    except NoActiveKey as error:
        raise Overloaded(reason="no_active_key", retry_after=_RETRY_AFTER) from error
