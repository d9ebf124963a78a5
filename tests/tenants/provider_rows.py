"""A row in each table of the OAuth provider, for tests that look at every table whatever makes its rows."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants import opaque
from tenants.tables import metadata
from tests.tenants.conftest import API


async def add_rows(
    connection: AsyncConnection, tenant_id: UUID, *, user_id: UUID, session_id: UUID, client_id: str, now: datetime
) -> None:
    """In the tenant's own open transaction."""
    later = now + timedelta(hours=1)

    def unique() -> dict[str, Any]:
        return {"digest": opaque.digest(uuid4().hex)}

    of_client = {"client_id": client_id}
    lasting = {"created_at": now, "expires_at": later}
    asked: dict[str, Any] = {"scopes": ["orders:read"], "audiences": [API]}
    rows: dict[str, dict[str, Any]] = {
        "authorization_requests": {**unique(), **of_client, "parameters": {"state": ["of alice"]}, **lasting},
        "begun_requests": {
            **unique(),
            **of_client,
            "redirect_uri": "https://app.example.com/callback",
            "parameters": {"state": ["of alice"]},
            **lasting,
        },
        "authorization_codes": {
            **unique(),
            **of_client,
            **asked,
            **lasting,
            "session_id": session_id,
            "redirect_uri": "https://app.example.com/callback",
            "code_challenge": "c" * 43,
            "request": {"nonce": "of alice"},
        },
        "device_codes": {
            **unique(),
            "user_code_digest": opaque.digest(uuid4().hex),
            **of_client,
            **asked,
            **lasting,
            "address": "192.0.2.1",
            "interval": 5,
            "session_id": session_id,
        },
        "consents": {"user_id": user_id, **of_client, "audience": "urn:x:y", "scopes": [], "granted_at": now},
        "seen_ids": {"kind": "assertion", **unique(), "expires_at": later},
        "session_clients": {"session_id": session_id, **of_client, "first_at": now},
        "logout_notices": {
            "id": uuid4(),
            **of_client,
            "session_id": session_id,
            "subject": str(user_id),
            "created_at": now,
            "next_at": now,
            "attempts": 0,
        },
        "former_issuers": {"issuer": f"https://{tenant_id}.example.com", "until": later},
    }
    for table, row in rows.items():
        await connection.execute(insert(metadata.tables[table]), {"tenant_id": tenant_id, **row})
