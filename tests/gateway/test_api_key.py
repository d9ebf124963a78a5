"""API keys: which authenticate as whom, which are refused and why; and that a token's path does not know of them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from gateway.authn.api_key import ApiKeys
from gateway.authn.bearer import Bearer, InvalidToken
from gateway.authn.token_table import Remembered, TokenTable
from policies.principal import Principal
from tenants import opaque
from tenants.api_key import KnownKey, digest, new_text
from tenants.names import is_name

NOW = 1_800_000_000
ACME, GLOBEX = UUID("7d444840-9dc0-11d1-b245-5ffdce74fad2"), UUID("e902893a-9d22-3c7e-a7b8-d6e313b71d9f")
KEY_ID, THEIR_ID = UUID(int=11), UUID(int=12)
API = "https://api.example.com"


@dataclass(frozen=True)
class Facts:
    id: UUID
    slug: str
    active: bool = True


@dataclass
class FakeSnapshot:
    tenants: dict[UUID, Facts]
    keys: dict[tuple[UUID, bytes], KnownKey] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    version: int = 1

    def by_id(self, tenant_id: UUID) -> Facts | None:
        self.asked.append("tenant")
        return self.tenants.get(tenant_id)

    def api_key(self, tenant_id: UUID, digest: bytes) -> KnownKey | None:
        self.asked.append("key")
        return self.keys.get((tenant_id, digest))

    def by_issuer(self, _: str) -> None:
        raise AssertionError("a key is no token")

    def verifying_key(self, _: UUID, __: str) -> None:
        raise AssertionError("a key is no token")

    def revoked(self, _: Principal) -> bool:
        raise AssertionError("a key is no token")


class World:
    """Two tenants with a key each, and a clock that stands."""

    def __init__(self) -> None:
        self.snapshot = FakeSnapshot({ACME: Facts(ACME, "acme"), GLOBEX: Facts(GLOBEX, "globex")})
        self.now = float(NOW)
        self.used: list[tuple[UUID, UUID, float]] = []
        self.keys = ApiKeys(self.snapshot, lambda: self.now, lambda *use: self.used.append(use))
        self.table = TokenTable()
        self.bearer = Bearer(self.snapshot, self.table, lambda: self.now, api_keys=self.keys.authenticate)
        self.text, self.theirs = self.add(ACME, KEY_ID), self.add(GLOBEX, THEIR_ID)

    def add(self, tenant_id: UUID, key_id: UUID, **changes: Any) -> bytes:
        text = new_text(tenant_id).encode()
        key = KnownKey(key_id, frozenset({"orders:read"}), frozenset({API}), NOW - 100.5, None, None)
        self.snapshot.keys[tenant_id, digest(text)] = replace(key, **changes)
        return text

    def change(self, text: bytes, **changes: Any) -> None:
        place = (ACME, digest(text))
        self.snapshot.keys[place] = replace(self.snapshot.keys[place], **changes)
        self.snapshot.version += 1


@pytest.fixture
def world() -> World:
    return World()


def principal(result: Principal | InvalidToken) -> Principal:
    assert isinstance(result, Principal), result
    return result


def test_a_key_is_its_principal_and_no_login_no_client_no_session(world: World) -> None:
    who = principal(world.bearer.authenticate(world.text))
    assert who == Principal(
        tenant_id=ACME,
        tenant="acme",
        subject=f"key/{KEY_ID}",
        client_id=None,
        scopes=frozenset({"orders:read"}),
        audiences=frozenset({API}),
        token_id=str(KEY_ID),
        issued_at=NOW - 101,
        expires_at=int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()),
        api_key_id=str(KEY_ID),
    )
    assert (who.session_id, who.auth_time, who.acr, who.amr, who.confirmation) == (None, None, None, frozenset(), None)
    assert dict(who.claims) == {}


def test_no_user_and_no_client_can_have_a_keys_subject(world: World) -> None:
    subject = principal(world.bearer.authenticate(world.text)).subject
    assert not is_name(subject)  # as a client's id has to be
    with pytest.raises(ValueError, match="badly formed"):
        UUID(subject)  # as a user's id is


def test_a_key_that_expires_says_when(world: World) -> None:
    world.change(world.text, expires_at=NOW + 0.5)
    assert principal(world.bearer.authenticate(world.text)).expires_at == NOW


def test_the_same_key_is_the_same_principal_until_it_is_read_anew(world: World) -> None:
    first = world.bearer.authenticate(world.text)
    assert world.bearer.authenticate(world.text) is first
    world.change(world.text, scopes=frozenset({"orders:write"}))
    assert principal(world.bearer.authenticate(world.text)).scopes == {"orders:write"}


def test_what_is_remembered_of_keys_is_bounded(world: World) -> None:
    keys = ApiKeys(world.snapshot, lambda: world.now, lambda *_: None, most=10)
    texts = [world.add(ACME, UUID(int=100 + number)) for number in range(25)]
    for text in texts:
        principal(keys.authenticate(text))
    assert len(keys._remembered) == 10
    assert principal(keys.authenticate(texts[0])).api_key_id == str(UUID(int=100))


def test_one_key_too_many_takes_the_place_of_the_oldest_and_of_no_other(world: World) -> None:
    keys = ApiKeys(world.snapshot, lambda: world.now, lambda *_: None, most=10)
    texts = [world.add(ACME, UUID(int=100 + number)) for number in range(10)]
    first = [keys.authenticate(text) for text in texts]
    principal(keys.authenticate(world.text))
    assert [keys.authenticate(text) is who for text, who in zip(texts[1:], first[1:], strict=True)] == [True] * 9
    assert keys.authenticate(texts[0]) is not first[0]


def test_a_key_that_is_read_anew_is_the_newest_and_takes_no_others_place(world: World) -> None:
    keys = ApiKeys(world.snapshot, lambda: world.now, lambda *_: None, most=2)
    principal(keys.authenticate(world.text))
    theirs = keys.authenticate(world.theirs)
    world.change(world.text, scopes=frozenset({"orders:write"}))
    ours = keys.authenticate(world.text)
    assert (keys.authenticate(world.theirs), keys.authenticate(world.text)) == (theirs, ours)
    assert keys.authenticate(world.theirs) is theirs
    principal(keys.authenticate(world.add(ACME, UUID(int=100))))
    assert keys.authenticate(world.text) is ours


def test_a_key_that_is_remembered_asks_nothing(world: World) -> None:
    world.bearer.authenticate(world.text)
    world.snapshot.asked.clear()
    principal(world.bearer.authenticate(world.text))
    assert world.snapshot.asked == []


def test_a_change_elsewhere_is_looked_at_once_and_leaves_the_principal(world: World) -> None:
    before = world.bearer.authenticate(world.text)
    world.snapshot.version += 1
    world.snapshot.asked.clear()
    for _ in range(2):
        assert world.bearer.authenticate(world.text) is before
    assert world.snapshot.asked == ["tenant", "key"]


def test_uses_are_noted_once_a_minute_and_no_refusal_is(world: World) -> None:
    for later in (0, 5, 54.9, 0.1, 30, 30):
        world.now += later
        principal(world.bearer.authenticate(world.text))
    principal(world.bearer.authenticate(world.theirs))
    world.now += 60
    world.change(world.text, revoked_at=NOW)
    world.bearer.authenticate(world.text)
    assert world.used == [
        (ACME, KEY_ID, NOW),
        (ACME, KEY_ID, NOW + 60),
        (ACME, KEY_ID, NOW + 120),
        (GLOBEX, THEIR_ID, NOW + 120),
    ]


def test_a_key_that_is_read_anew_is_not_noted_sooner(world: World) -> None:
    world.bearer.authenticate(world.text)
    world.now += 30
    world.change(world.text, scopes=frozenset({"orders:write"}))
    world.bearer.authenticate(world.text)
    assert world.used == [(ACME, KEY_ID, NOW)]


def test_a_key_that_was_made_by_a_clock_that_runs_ahead_counts_at_once(world: World) -> None:
    world.change(world.text, created_at=NOW + 300.0)
    principal(world.bearer.authenticate(world.text))


# --- what is refused


def test_a_revoked_key_is_refused_from_the_moment_that_it_is_heard_of(world: World) -> None:
    principal(world.bearer.authenticate(world.text))
    world.change(world.text, revoked_at=NOW + 3600.0)  # by a clock that runs ahead
    assert world.bearer.authenticate(world.text) == InvalidToken("api_key_revoked", "", ACME, str(KEY_ID))


def test_a_key_is_refused_from_its_end_on(world: World) -> None:
    world.change(world.text, expires_at=NOW + 60.0)
    world.now = NOW + 59.9
    principal(world.bearer.authenticate(world.text))
    world.now = NOW + 60.0
    assert world.bearer.authenticate(world.text) == InvalidToken("api_key_expired", "", ACME, str(KEY_ID))


def test_a_suspended_tenants_keys_are_refused_and_come_back_with_it(world: World) -> None:
    principal(world.bearer.authenticate(world.text))
    world.snapshot.tenants[ACME] = Facts(ACME, "acme", active=False)
    world.snapshot.version += 1
    assert world.bearer.authenticate(world.text) == InvalidToken("tenant_suspended", "", ACME, str(KEY_ID))
    world.snapshot.tenants[ACME] = Facts(ACME, "acme")
    world.snapshot.version += 1
    principal(world.bearer.authenticate(world.text))


def swapped(text: bytes) -> bytes:
    """The other case of one letter."""
    place = next(at for at in range(40, 68) if text[at : at + 1].isalpha())
    return text[:place] + text[place : place + 1].swapcase() + text[place + 1 :]


ATTACKS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut": (lambda key: key[:-1], "api_key_malformed"),
    "longer": (lambda key: key + b"A", "api_key_malformed"),
    "padded": (lambda key: key + b"=", "api_key_malformed"),
    "the prefix alone": (lambda _: b"yak_", "api_key_malformed"),
    "of no form": (lambda _: b"yak_" + b"." * 64, "api_key_malformed"),
    "not ASCII": (lambda _: b"yak_" + "ü".encode() * 32, "api_key_malformed"),
    "huge": (lambda _: b"yak_" + b"A" * 30_000, "api_key_malformed"),
    "twice": (lambda key: key + b" " + key, "api_key_malformed"),
    "another case": (swapped, "api_key_unknown"),
    "another spelling of base64": (lambda key: b"yak_" + b"+" + key[5:], "api_key_unknown"),
    "another tenant's id before it": (lambda key: new_text(GLOBEX).encode()[:25] + key[25:], "api_key_unknown"),
    "made up": (lambda _: new_text(ACME).encode(), "api_key_unknown"),
    "of nobody": (lambda _: new_text(UUID(int=99)).encode(), "api_key_unknown"),
    "a client secret": (lambda _: opaque.new("ycs_").encode(), "token_malformed"),
    "a refresh token": (lambda _: opaque.new("yrt_").encode(), "token_malformed"),
    "a client secret behind the prefix": (lambda _: b"yak_" + opaque.new("ycs_").encode()[4:], "api_key_malformed"),
    "the key behind another prefix": (lambda key: b"ycs_" + key[4:], "token_malformed"),
    "the prefix in capitals": (lambda key: key.replace(b"yak_", b"YAK_"), "token_malformed"),
    "without its prefix": (lambda key: key[4:], "token_malformed"),
    "its hash": (lambda key: digest(key), "token_malformed"),
    "its hash in hex": (lambda key: b"yak_" + digest(key).hex().encode(), "api_key_unknown"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attack(world: World, name: str) -> None:
    change, reason = ATTACKS[name]
    refused = world.bearer.authenticate(change(world.text))
    assert isinstance(refused, InvalidToken)
    assert refused.reason == reason
    assert (refused.proved_tenant, refused.api_key_id) == (None, None)
    assert world.text.decode() not in repr(refused)
    assert world.used == []


def test_each_key_is_its_own_tenants(world: World) -> None:
    assert principal(world.bearer.authenticate(world.text)).tenant == "acme"
    assert principal(world.bearer.authenticate(world.theirs)).tenant == "globex"


def test_no_secret_is_compared_a_known_key_and_a_made_up_one_take_the_same_steps(world: World) -> None:
    """What is held is hashes; what an attacker times is a look-up by a hash that they cannot steer."""
    steps = []
    for text in (world.text, new_text(ACME).encode(), swapped(world.text)):
        world.snapshot.asked.clear()
        world.bearer.authenticate(text)
        steps.append(tuple(world.snapshot.asked))
    assert set(steps) == {("tenant", "key")}
    assert world.text not in world.snapshot.keys
    assert all(len(place[1]) == 32 for place in world.snapshot.keys)


# --- beside tokens


def test_a_key_is_not_put_among_the_verified_tokens(world: World) -> None:
    principal(world.bearer.authenticate(world.text))
    assert len(world.table) == 0


def test_a_token_that_is_remembered_is_not_asked_whether_it_is_a_key(world: World) -> None:
    class Counted(bytes):
        asked = 0

        def startswith(self, *arguments: Any) -> bool:
            type(self).asked += 1
            return super().startswith(*arguments)

    token = Counted(b"a.b.c")
    who = Principal(ACME, "acme", "u", "c", frozenset(), frozenset(), "t", NOW, NOW + 300)
    world.table.remember(token, Remembered(who, NOW + 300, "issuer", "kid", world.snapshot.version))
    assert world.bearer.authenticate(token) is who
    assert Counted.asked == 0
    assert world.snapshot.asked == []


def test_where_no_keys_are_taken_a_key_is_a_malformed_token(world: World) -> None:
    plain = Bearer(world.snapshot, TokenTable(), lambda: world.now)
    refused = plain.authenticate(world.text)
    assert isinstance(refused, InvalidToken)
    assert refused.reason == "token_malformed"
    assert world.snapshot.asked == []
