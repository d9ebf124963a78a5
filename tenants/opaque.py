"""Opaque secrets: 256 random bits behind a prefix that says their kind, stored only as SHA-256.

The prefix is part of what is hashed, so that a secret of one kind is never another's; the hash is of the whole string,
so that a cut, padded or re-cased secret is a different one.
"""

import hashlib
import secrets
from typing import Literal

People = Literal["yss_", "ylg_", "ymt_", "ydv_", "ypr_", "yvf_", "yic_"]
"""Session, pending login, mfa_token, device; links of a reset, a proof, an invitation."""

Prefix = People | Literal["yrt_", "ycs_", "yac_", "yar_", "ybg_", "ydc_", "yrg_", "yia_"]
"""Refresh token, client secret; authorization code, pushed request, a request that waits, device code; registration and
initial access token. API keys, behind ``yak_``, name their tenant as well: api_key.py.
"""


def new(prefix: Prefix) -> str:
    """A new secret: the prefix and 43 base64url characters."""
    return prefix + secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    """The 32 bytes that are stored and looked up. A plain hash will do: the input has 256 bits of entropy."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
