"""Authentication context classes (RFC 9470, OpenID Connect Core section 2): their names and their order."""

PASSWORD = "urn:yett:acr:pwd"  # noqa: S105 - a context class, no password
MFA = "urn:yett:acr:mfa"

ORDER = (PASSWORD, MFA)
"""Weakest first."""


def rank(acr: str | None) -> int:
    """Larger is stronger. A class that is not known ranks below all that are."""
    return ORDER.index(acr) if acr in ORDER else -1
