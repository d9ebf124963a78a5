"""Whether a row could not be written because what it belongs to was deleted meanwhile."""

from sqlalchemy.exc import IntegrityError

_FOREIGN_KEY_VIOLATION = "23503"  # PostgreSQL's SQLSTATE
_SQLITE_SAYS = "FOREIGN KEY constraint failed"  # and not which


def is_deleted_client(error: Exception) -> bool:
    """Whether it is the client that is gone, by the name of the constraint; SQLite names none, and there it may be a
    user or a session, too.
    """
    if not isinstance(error, IntegrityError) or error.orig is None:
        return False
    if getattr(error.orig, "sqlstate", None) == _FOREIGN_KEY_VIOLATION:
        constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None) or ""
        return str(constraint).endswith("_clients")
    return _SQLITE_SAYS in str(error.orig)
