"""What an issuer answers that has no key to sign with: its last one was revoked, and none was promoted."""

from gateway.errors import Overloaded
from tenants.keys import NoActiveKey

_RETRY_AFTER = 30  # seconds: somebody has to promote a key


class needs_a_key:  # noqa: N801 - for ``with``
    """Around what signs, and outside of the step that it is in: nothing of that step is kept.

    Raises:
        Overloaded: in place of NoActiveKey, which ``tenants.issuers`` puts into the log.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        """Nothing is needed yet."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, NoActiveKey):
            raise Overloaded(reason="no_active_key", retry_after=_RETRY_AFTER) from error
