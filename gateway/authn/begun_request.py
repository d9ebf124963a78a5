"""The address of an authorization request that waits for a login or a consent: where the login leads back to.

Owns how it is written and read. Not what it stands for: that is the store's (``begun_requests``).
"""

from urllib.parse import urlencode

PATH = "/authorize"
PARAMETER = "begun"


def address(secret: str, *, base: str) -> str:
    """Below the tenant's own pages; ``secret`` is what ``begun_requests.begin`` gave."""
    return f"{base}{PATH}?{urlencode({PARAMETER: secret})}"


def secret_in(return_to: str, *, base: str) -> str | None:
    """The unverified secret in such an address, None in any other."""
    prefix = address("", base=base)
    return return_to.removeprefix(prefix) if return_to.startswith(prefix) else None
