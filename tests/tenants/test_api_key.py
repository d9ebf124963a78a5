"""The text of an API key: whose it says it is, and that any other spelling is another key."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.api_key import LENGTH, PREFIX, digest, named_tenant, new_text

TENANT = uuid4()


def test_a_text_is_its_prefix_the_tenant_and_256_random_bits() -> None:
    texts = {new_text(TENANT) for _ in range(100)}
    assert len(texts) == 100
    for text in texts:
        assert text.startswith("yak_")
        assert len(text) == LENGTH == 68
        body = urlsafe_b64decode(text.removeprefix(PREFIX))
        assert (body[:16], len(body[16:])) == (TENANT.bytes, 32)
    randoms = {urlsafe_b64decode(text.removeprefix(PREFIX))[16:] for text in texts}
    assert len(randoms) == 100


def test_the_tenant_that_is_read_is_the_one_that_it_was_made_for() -> None:
    assert named_tenant(new_text(TENANT).encode()) == TENANT


@pytest.mark.parametrize("place", range(len(PREFIX), LENGTH))
def test_every_sign_of_a_text_counts(place: int) -> None:
    text = new_text(TENANT)
    other = "A" if text[place] != "A" else "B"
    changed = (text[:place] + other + text[place + 1 :]).encode()
    assert (named_tenant(changed), digest(changed)) != (TENANT, digest(text.encode()))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"yak_",
        b"yak_" + b"A" * 63,
        b"yak_" + b"A" * 65,
        b"yak_" + b"A" * 60 + b"====",
        b"yak_" + b"=" * 64,
        b"yak_" + b"\xff" * 64,
        b"yak_" + b"\x00" * 64,
        b"yak_" + b" " * 64,
        b"yak_" + b"A" * 63 + b"\n",
        b"yak_" + b"A" * 32 + b"." + b"A" * 31,
        b"yak_" + "ä".encode() * 32,
        b"yak_" + b"A" * 1_000_000,
    ],
)
def test_what_has_not_the_form_of_a_key_is_none(text: bytes) -> None:
    assert named_tenant(text) is None


@given(st.binary(min_size=64, max_size=64))
def test_nothing_that_is_sent_raises(body: bytes) -> None:
    assert isinstance(named_tenant(b"yak_" + body), UUID | None)


@given(st.uuids(), st.binary(min_size=32, max_size=32))
def test_any_tenant_can_be_named(tenant_id: UUID, random: bytes) -> None:
    assert named_tenant(PREFIX.encode() + urlsafe_b64encode(tenant_id.bytes + random)) == tenant_id
