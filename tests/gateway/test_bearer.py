"""Bearer tokens: what authenticates, what is refused and why, and what may be remembered."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.serialization import load_der_private_key

from gateway.authn.bearer import Bearer, InvalidToken
from gateway.authn.token_table import Remembered, TokenTable
from policies.principal import Principal
from tenants.jose import SigningKey, VerifyingKey

NOW = 1_800_000_000
ISSUER = "https://auth.example.com/t/acme"
OTHER_ISSUER = "https://auth.example.com/t/globex"
ACME, GLOBEX = UUID(int=1), UUID(int=2)
VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "jwt_attacks.json").read_text())


@dataclass(frozen=True)
class Facts:
    id: UUID
    slug: str
    issuer: str
    active: bool = True
    until: datetime | None = None


@dataclass
class FakeSnapshot:
    tenants: dict[str, Facts]
    keys: dict[tuple[UUID, str], VerifyingKey]
    version: int = 1
    revoked_ids: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def by_issuer(self, issuer: str) -> Facts | None:
        self.asked.append("tenant")
        return self.tenants.get(issuer)

    def verifying_key(self, tenant_id: UUID, kid: str) -> VerifyingKey | None:
        self.asked.append("key")
        return self.keys.get((tenant_id, kid))

    def revoked(self, principal: Principal) -> bool:
        self.asked.append("revoked")
        return principal.token_id in self.revoked_ids


class World:
    """Two tenants with a key each, a stranger with one too, and a clock that stands."""

    def __init__(self) -> None:
        self.own, self.other, self.stranger = (SigningKey.generate("ES256") for _ in range(3))
        self.snapshot = FakeSnapshot(
            {ISSUER: Facts(ACME, "acme", ISSUER), OTHER_ISSUER: Facts(GLOBEX, "globex", OTHER_ISSUER)},
            {(ACME, self.own.kid): self.own.verifying_key(), (GLOBEX, self.other.kid): self.other.verifying_key()},
        )
        self.now = float(NOW)
        self.table = TokenTable()
        self.bearer = Bearer(self.snapshot, self.table, lambda: self.now)

    def token(self, key: SigningKey | None = None, **changes: Any) -> bytes:
        return (key or self.own).sign("at+jwt", claims() | changes).encode()


@pytest.fixture
def world() -> World:
    return World()


def claims() -> dict[str, Any]:
    return {
        "iss": ISSUER,
        "sub": "u-alice",
        "aud": "https://api.example.com",
        "exp": NOW + 300,
        "iat": NOW,
        "jti": "t-1",
        "client_id": "demo-app",
        "scope": "orders:read orders:write",
        "sid": "s-1",
        "auth_time": NOW - 60,
        "acr": "urn:yett:acr:pwd",
        "amr": ["pwd"],
    }


def b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def reason(result: Principal | InvalidToken) -> str:
    assert isinstance(result, InvalidToken)
    return result.reason


def principal(result: Principal | InvalidToken) -> Principal:
    assert isinstance(result, Principal), result
    return result


# --- what a token says


def test_a_bound_token_says_by_which_key(world: World) -> None:
    assert principal(world.bearer.authenticate(world.token())).confirmation is None
    assert principal(world.bearer.authenticate(world.token(cnf={"jkt": "k" * 43}))).confirmation == "k" * 43


@pytest.mark.parametrize(
    "cnf",
    [
        {},
        None,
        "k" * 43,
        ["jkt"],
        {"jkt": "short"},
        {"jkt": 1},
        {"jkt": "k" * 42 + "="},
        {"x5t#S256": "k" * 43},
        {"jwk": {"kty": "EC"}},
        {"jkt": "k" * 43, "x5t#S256": "k" * 43},
    ],
)
def test_a_confirmation_that_is_not_known_is_refused_and_never_ignored(world: World, cnf: Any) -> None:
    refused = world.bearer.authenticate(world.token(cnf=cnf))
    assert refused == InvalidToken("claims_invalid", "cnf", ACME)


def test_a_valid_token_is_its_principal(world: World) -> None:
    who = principal(world.bearer.authenticate(world.token(tier="gold")))
    assert (who.tenant_id, who.tenant, who.subject, who.client_id) == (ACME, "acme", "u-alice", "demo-app")
    assert who.scopes == {"orders:read", "orders:write"}
    assert who.audiences == {"https://api.example.com"}
    assert (who.token_id, who.session_id, who.issued_at, who.expires_at) == ("t-1", "s-1", NOW, NOW + 300)
    assert (who.auth_time, who.acr, who.amr) == (NOW - 60, "urn:yett:acr:pwd", {"pwd"})
    assert who.claims["tier"] == "gold"


def test_a_principals_claims_cannot_be_changed(world: World) -> None:
    who = principal(world.bearer.authenticate(world.token()))
    with pytest.raises(TypeError):
        who.claims["sub"] = "u-mallory"  # type: ignore[index]


def test_a_client_for_itself_has_no_session(world: World) -> None:
    only = {k: v for k, v in claims().items() if k not in {"sid", "auth_time", "acr", "amr", "scope"}}
    who = principal(world.bearer.authenticate(world.own.sign("at+jwt", only | {"sub": "demo-app"}).encode()))
    assert (who.session_id, who.auth_time, who.acr, who.amr, who.scopes) == (None, None, None, frozenset(), frozenset())


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"])
def test_the_type_is_compared_without_case_and_prefix(world: World, typ: str) -> None:
    assert principal(world.bearer.authenticate(world.own.sign(typ, claims()).encode()))


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "RS256"])
def test_each_algorithm_authenticates(world: World, alg: Any) -> None:
    key = SigningKey.generate(alg)
    world.snapshot.keys[ACME, key.kid] = key.verifying_key()
    assert principal(world.bearer.authenticate(world.token(key)))


def test_a_result_is_never_truth_tested(world: World) -> None:
    with pytest.raises(TypeError):
        bool(world.bearer.authenticate(b"x"))


# --- attacks, from the vectors


@pytest.mark.parametrize("case", VECTORS, ids=[case["rule"] for case in VECTORS])
def test_attack(world: World, case: dict[str, Any]) -> None:
    token = forge(world, case)
    assert reason(world.bearer.authenticate(token)) == case["reason"]
    assert len(world.table) == 0


def test_the_forge_makes_a_good_token_where_nothing_is_changed(world: World) -> None:
    assert principal(world.bearer.authenticate(forge(world, {"sign": "own"})))


def test_a_string_without_end_before_many_brackets_is_refused(world: World) -> None:
    text = '{"x":"' + '\\"' * 2700 + "[" * 20
    token = b64(b'{"alg":"ES256"}') + b"." + b64(text.encode()) + b".AAAA"
    assert reason(world.bearer.authenticate(token)) == "token_malformed"


def test_a_signature_is_not_checked_for_a_token_that_is_refused_anyway(world: World) -> None:
    class Untouchable(VerifyingKey):
        def verify(self, token: Any) -> Any:  # noqa: ARG002 - the signature of what it stands in for
            raise AssertionError("the signature was checked")

    world.snapshot.keys[ACME, world.own.kid] = Untouchable(world.own.public_jwk())
    assert reason(world.bearer.authenticate(world.token(exp=NOW - 1))) == "token_expired"
    assert reason(world.bearer.authenticate(world.own.sign("JWT", claims()).encode())) == "token_type"


def test_a_refusal_names_a_tenant_only_where_its_key_was_seen_to_have_signed(world: World) -> None:
    expired = world.bearer.authenticate(world.token(exp=NOW - 1))
    assert isinstance(expired, InvalidToken)
    assert expired.proved_tenant is None  # refused before the signature was looked at

    world.snapshot.revoked_ids.add("t-1")
    revoked = world.bearer.authenticate(world.token())
    assert isinstance(revoked, InvalidToken)
    assert revoked.proved_tenant == ACME


# --- state


def test_a_suspended_tenants_token_is_refused(world: World) -> None:
    world.snapshot.tenants[ISSUER] = replace(world.snapshot.tenants[ISSUER], active=False)
    assert reason(world.bearer.authenticate(world.token())) == "tenant_suspended"


def test_a_revoked_token_is_refused_and_not_remembered(world: World) -> None:
    world.snapshot.revoked_ids.add("t-1")
    assert reason(world.bearer.authenticate(world.token())) == "token_revoked"
    assert len(world.table) == 0


def test_a_key_that_is_no_longer_published_is_refused(world: World) -> None:
    world.snapshot.keys.clear()
    assert reason(world.bearer.authenticate(world.token())) == "key_unknown"


def test_leeway_is_granted_once_and_to_the_remembered_too(world: World) -> None:
    bearer = Bearer(world.snapshot, world.table, lambda: world.now, leeway=5)
    token = world.token(exp=NOW + 10)
    world.now = NOW + 14.5
    assert principal(bearer.authenticate(token))
    assert principal(bearer.authenticate(token))
    world.now = NOW + 15.0
    assert reason(bearer.authenticate(token)) == "token_expired"


# --- remembering


def test_a_remembered_token_asks_nothing(world: World) -> None:
    token = world.token()
    first = world.bearer.authenticate(token)
    world.snapshot.asked.clear()
    assert world.bearer.authenticate(bytes(bytearray(token))) is first
    assert world.snapshot.asked == []


def test_a_remembered_token_expires(world: World) -> None:
    token = world.token()
    principal(world.bearer.authenticate(token))
    world.now = NOW + 299.999
    principal(world.bearer.authenticate(token))
    world.now = NOW + 300.0
    assert reason(world.bearer.authenticate(token)) == "token_expired"
    assert len(world.table) == 0
    assert world.table.bytes_held == 0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda s: s.revoked_ids.add("t-1"), "token_revoked"),
        (lambda s: s.keys.clear(), "key_unknown"),
        (lambda s: s.tenants.clear(), "issuer_unknown"),
        (lambda s: s.tenants.update({ISSUER: Facts(ACME, "acme", ISSUER, active=False)}), "tenant_suspended"),
        (lambda s: s.tenants.update({ISSUER: Facts(UUID(int=9), "acme", ISSUER)}), "issuer_unknown"),
        (lambda s: s.tenants.update({ISSUER: Facts(ACME, "renamed", ISSUER)}), "issuer_unknown"),
    ],
)
def test_a_remembered_token_hears_of_every_change(
    world: World, change: Callable[[FakeSnapshot], object], expected: str
) -> None:
    token = world.token()
    principal(world.bearer.authenticate(token))
    change(world.snapshot)
    world.snapshot.version += 1
    assert reason(world.bearer.authenticate(token)) == expected
    assert reason(world.bearer.authenticate(token)) == expected


def test_a_change_elsewhere_is_looked_at_once(world: World) -> None:
    token = world.token()
    principal(world.bearer.authenticate(token))
    world.snapshot.version += 1
    world.snapshot.asked.clear()
    principal(world.bearer.authenticate(token))
    assert world.snapshot.asked == ["tenant", "key", "revoked"]
    principal(world.bearer.authenticate(token))
    assert world.snapshot.asked == ["tenant", "key", "revoked"]


def test_a_tenant_that_is_resumed_has_its_tokens_back(world: World) -> None:
    token = world.token()
    principal(world.bearer.authenticate(token))
    world.snapshot.tenants[ISSUER] = Facts(ACME, "acme", ISSUER, active=False)
    world.snapshot.version += 1
    assert reason(world.bearer.authenticate(token)) == "tenant_suspended"
    world.snapshot.tenants[ISSUER] = Facts(ACME, "acme", ISSUER)
    world.snapshot.version += 1
    assert principal(world.bearer.authenticate(token))


def test_a_forged_flood_evicts_nothing(world: World) -> None:
    table = TokenTable(max_entries=2)
    bearer = Bearer(world.snapshot, table, lambda: world.now)
    good = world.token()
    first = bearer.authenticate(good)
    for n in range(50):
        assert reason(bearer.authenticate(world.token(world.stranger, jti=f"t-{n}"))) == "key_unknown"
        assert reason(bearer.authenticate(good[:-4] + b"%04d" % n)) in {"signature_invalid", "token_malformed"}
    assert bearer.authenticate(good) is first


def test_a_malleable_signature_is_verified_for_itself(world: World) -> None:
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    token = world.token()
    signed, signature = token.rsplit(b".", 1)
    raw = base64.urlsafe_b64decode(signature + b"==")
    other = raw[:32] + (order - int.from_bytes(raw[32:])).to_bytes(32)
    twin = signed + b"." + b64(other)
    assert principal(world.bearer.authenticate(token)) == principal(world.bearer.authenticate(twin))
    world.snapshot.revoked_ids.add("t-1")
    world.snapshot.version += 1
    assert reason(world.bearer.authenticate(token)) == reason(world.bearer.authenticate(twin)) == "token_revoked"


# --- the table


def entry(token_id: str = "t") -> Remembered:
    who = Principal(ACME, "acme", "u", "c", frozenset(), frozenset(), token_id, NOW, NOW + 300)
    return Remembered(who, NOW + 300, ISSUER, "kid", 1)


def test_the_oldest_entry_goes_first() -> None:
    table = TokenTable(max_entries=3)
    for n in range(5):
        table.remember(b"token-%d" % n, entry())
    assert [table.get(b"token-%d" % n) is not None for n in range(5)] == [False, False, True, True, True]


def test_the_bytes_are_bounded() -> None:
    table = TokenTable(max_bytes=40_000)
    for n in range(100):
        table.remember(b"%04d" % n + b"x" * 996, entry())
        assert table.bytes_held <= 40_000
    assert len(table) == 10


def test_what_is_larger_than_the_table_is_not_remembered() -> None:
    table = TokenTable(max_bytes=1000)
    table.remember(b"x" * 900, entry())
    assert len(table) == 0
    assert table.bytes_held == 0


def test_remembering_twice_counts_once() -> None:
    table = TokenTable()
    table.remember(b"x" * 100, entry())
    held = table.bytes_held
    table.remember(b"x" * 100, entry())
    assert (len(table), table.bytes_held) == (1, held)


def test_a_table_holds_something() -> None:
    with pytest.raises(ValueError, match="something"):
        TokenTable(max_entries=0)


# --- the forge


def forge(world: World, case: dict[str, Any]) -> bytes:
    """The token that a vector describes."""
    fill = _filler(world, case)
    header = {"alg": "ES256", "kid": world.own.kid, "typ": "at+jwt"} | fill(case.get("header", {}))
    body = claims() | fill(case.get("claims", {}))
    header = {k: v for k, v in header.items() if k not in case.get("drop_header", ())}
    body = {k: v for k, v in body.items() if k not in case.get("drop_claims", ())}
    inner = {"%header%": _members(header), "%claims%": _members(body)}
    head = _text(case.get("header_text", "{%header%}"), inner, case)
    payload = bytes.fromhex(case.get("claims_hex", "")) or _text(case.get("claims_text", "{%claims%}"), inner, case)
    signing_input = b64(head) + b"." + b64(payload)
    token = signing_input + b"." + b64(_sign(world, case["sign"], signing_input))
    return _changed(token, case.get("change"))


def _filler(world: World, case: dict[str, Any]) -> Callable[[Any], Any]:
    names = {
        "%other_kid%": world.other.kid,
        "%issuer%": ISSUER,
        "%other_issuer%": OTHER_ISSUER,
        "%repeat%": case["repeat"][0] * case["repeat"][1] if "repeat" in case else "",
    }

    def fill(value: Any) -> Any:
        if value == "%stranger_jwk%":
            return world.stranger.public_jwk()
        if isinstance(value, str):
            for name, text in names.items():
                value = value.replace(name, text)
            return value
        if isinstance(value, dict) and value.keys() == {"now"}:
            return NOW + value["now"]
        if isinstance(value, dict):
            return {key: fill(item) for key, item in value.items()}
        return [fill(item) for item in value] if isinstance(value, list) else value

    return fill


def _members(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))[1:-1]


def _text(template: str, inner: dict[str, str], case: dict[str, Any]) -> bytes:
    for name, text in inner.items():
        template = template.replace(name, text)
    if "repeat" in case:
        template = template.replace("%repeat%", case["repeat"][0] * case["repeat"][1])
    return template.encode()


def _sign(world: World, how: str, signing_input: bytes) -> bytes:
    public = load_der_private_key(world.own.private_der(), None).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    signers: dict[str, Callable[[], bytes]] = {
        "nothing": lambda: b"",
        "zeros": lambda: bytes(64),
        "own": lambda: _raw(world.own, signing_input),
        "other": lambda: _raw(world.other, signing_input),
        "stranger": lambda: _raw(world.stranger, signing_input),
        "hmac_pem": lambda: hmac.digest(pem, signing_input, hashlib.sha256),
        "hmac_jwk": lambda: hmac.digest(json.dumps(world.own.public_jwk()).encode(), signing_input, hashlib.sha256),
        "der": lambda: _der(world.own, signing_input),
    }
    return signers[how]()


def _der(key: SigningKey, signing_input: bytes) -> bytes:
    private: Any = load_der_private_key(key.private_der(), None)
    return bytes(private.sign(signing_input, ECDSA(hashes.SHA256())))


def _raw(key: SigningKey, signing_input: bytes) -> bytes:
    """r and s from DER, by hand: the forge shares no code with what it attacks."""
    der = _der(key, signing_input)
    numbers = list(_integers(der[2:]))
    return b"".join(number.to_bytes(32) for number in numbers)


def _integers(der: bytes) -> Iterator[int]:
    while der:
        assert der[0] == 2
        yield int.from_bytes(der[2 : 2 + der[1]])
        der = der[2 + der[1] :]


def _changed(token: bytes, change: str | None) -> bytes:
    head, payload, signature = token.split(b".", 2) if token.count(b".") == 2 else (b"", b"", b"")
    # The last letter of an 86-letter signature carries four bits that decoding drops.
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = letters.index(signature[-1:]) if signature else 0
    changes: dict[str | None, Callable[[], bytes]] = {
        None: lambda: token,
        "pad_signature": lambda: token + b"==",
        "trailing_bits": lambda: token[:-1] + letters[last + 1 : last + 2],
        "truncate_signature": lambda: token[:-2],
        "lengthen_signature": lambda: b".".join(
            (head, payload, b64(base64.urlsafe_b64decode(signature + b"==") + b"\0"))
        ),
        "other_payload": lambda: b".".join((head, b64(json.dumps(claims() | {"scope": "admin"}).encode()), signature)),
        "fourth_part": lambda: token + b".AAAA",
        "two_parts": lambda: head + b"." + payload,
        "five_parts": lambda: token + b".AAAA.AAAA",
        "space": lambda: token + b" ",
        "newline": lambda: token + b"\n",
        "plus": lambda: token[:-4] + b"+/AA",
        "nul": lambda: token[:-4] + b"\0AAA",
        "high_byte": lambda: token[:-4] + b"\xc3\xa9AA",
        "empty": lambda: b"",
    }
    return changes[change]()


# --- the change of an issuer


def former(world: World, until: float | None, *, heard: bool = True) -> None:
    """The tenant's issuer is one that it had before, and counts until then."""
    end = None if until is None else datetime.fromtimestamp(until, UTC)
    world.snapshot.tenants[ISSUER] = replace(world.snapshot.tenants[ISSUER], until=end)
    world.snapshot.version += heard


def test_a_token_of_a_former_issuer_stands_until_the_overlap_ends(world: World) -> None:
    former(world, NOW + 60)
    token = world.token()
    principal(world.bearer.authenticate(token))
    world.now = NOW + 59.9
    principal(world.bearer.authenticate(token))
    world.now = NOW + 60
    del world.snapshot.tenants[ISSUER]  # as the snapshot does by the clock, without telling that it changed
    assert reason(world.bearer.authenticate(token)) == "issuer_unknown"
    assert len(world.table) == 0


def test_a_token_that_is_remembered_ends_with_the_issuer_that_changed_since(world: World) -> None:
    token = world.token()
    principal(world.bearer.authenticate(token))
    former(world, NOW + 60)
    principal(world.bearer.authenticate(token))
    world.now = NOW + 60
    del world.snapshot.tenants[ISSUER]
    assert reason(world.bearer.authenticate(token)) == "issuer_unknown"


def test_an_overlap_that_was_made_longer_counts_from_when_it_is_heard(world: World) -> None:
    former(world, NOW + 60)
    token = world.token()
    principal(world.bearer.authenticate(token))
    world.now = NOW + 61
    former(world, NOW + 120)
    principal(world.bearer.authenticate(token))
    world.now = NOW + 119
    principal(world.bearer.authenticate(token))


def test_a_token_outlives_neither_its_own_end_nor_its_issuers(world: World) -> None:
    former(world, NOW + 600)
    token = world.token()
    principal(world.bearer.authenticate(token))
    former(world, None)  # the tenant went back to it
    principal(world.bearer.authenticate(token))
    world.now = NOW + 300
    assert reason(world.bearer.authenticate(token)) == "token_expired"
