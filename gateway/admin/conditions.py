"""``If-Match`` (RFC 9110 section 13.1.1): who writes says what they read, so that nobody's change is lost unseen."""

from pydantic import BaseModel

from gateway.admin.document import entity_tag
from gateway.admin.errors import PreconditionFailed, PreconditionRequired


def check_precondition(current: BaseModel, if_match: tuple[str, ...], *, required: bool) -> None:
    """Asked with the tenant held, so nobody changes it between this and the write.

    Raises:
        PreconditionRequired: there is no If-Match, and one is ``required`` (RFC 6585 section 3).
        PreconditionFailed: it names other states than today's.
    """
    if not if_match:
        if required:
            raise PreconditionRequired
        return
    tags = [tag.strip(" \t") for value in if_match for tag in value.split(",")]
    if tags != ["*"] and entity_tag(current) not in tags:  # a weak tag is never the same: the comparison is strong
        raise PreconditionFailed
