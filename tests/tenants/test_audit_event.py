"""The bytes of an audit event are final: what is hashed once is hashed so for ever."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.merkle import entry_hash, leaf_hash
from tenants.audit_event import Event, encode

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "audit_events.json").read_text())["events"]
ID, TENANT, TIME = UUID(int=1), UUID(int=2), datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def encoded(event: Event, at: datetime = TIME) -> bytes:
    return encode(event, event_id=ID, tenant_id=TENANT, at=at)


@pytest.mark.parametrize("vector", [pytest.param(vector, id=vector["name"]) for vector in VECTORS])
def test_an_event_has_the_bytes_and_hashes_of_the_vector(vector: dict[str, Any]) -> None:
    found = encode(
        Event(**vector["event"]),
        event_id=UUID(vector["id"]),
        tenant_id=UUID(vector["tenant_id"]),
        at=datetime.fromisoformat(vector["time"]),
    )
    assert found == bytes.fromhex(vector["bytes"]) == vector["text"].encode()
    entry = entry_hash(bytes.fromhex(vector["salt"]), found)
    assert (entry.hex(), leaf_hash(entry).hex()) == (vector["entry"], vector["leaf"])


TEXT = st.text(st.characters(codec=None), max_size=600)


@given(
    user_name=TEXT,
    details=st.dictionaries(TEXT, TEXT | st.integers() | st.booleans() | st.lists(TEXT, max_size=3), max_size=4),
)
def test_whatever_a_stranger_types_the_bytes_are_canonical_json(user_name: str, details: dict[str, Any]) -> None:
    found = encoded(Event(type="login.refused", outcome="refused", user_name=user_name, details=details))
    body = json.loads(found)  # valid UTF-8 and valid JSON
    keys = json.loads(found, object_pairs_hook=lambda pairs: [name for name, _ in pairs])
    assert keys == sorted(keys)
    assert len(body["user_name"]) <= 500
    assert b"\n" not in found  # an export is a line an event


@pytest.mark.parametrize("value", [1.5, None, b"bytes", object(), {"nested": 1.5}, [1.5], [None]])
def test_an_event_holds_nothing_that_two_encoders_would_write_differently(value: Any) -> None:
    with pytest.raises(TypeError):
        encoded(Event(type="test", outcome="notice", details={"value": value}))


def test_the_time_is_utc_whatever_zone_it_came_in() -> None:
    elsewhere = TIME.astimezone(timezone(timedelta(hours=5, minutes=30)))
    event = Event(type="test", outcome="notice")
    assert encoded(event, elsewhere) == encoded(event)
    assert b'"time":"2026-11-25T12:00:00.000000Z"' in encoded(event)
    with pytest.raises(ValueError, match="zone"):
        encoded(event, TIME.replace(tzinfo=None))
