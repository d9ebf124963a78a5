"""Forged tokens that come again: what may be remembered of them, whom that may never hurt, and what it may cost."""

import os
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.authn.bearer import Bearer, InvalidToken
from gateway.authn.token_table import MAX_FORGED_ENTRIES, Forged, TokenTable
from policies.principal import Principal
from tenants.jose import SigningKey, VerifyingKey
from tests.gateway.test_bearer import (
    ACME,
    ISSUER,
    NOW,
    OTHER_ISSUER,
    VECTORS,
    Facts,
    World,
    forge,
    principal,
    reason,
)

DISTINCT = 100_000 if os.environ.get("YETT_TEST_SOAK") else 1_000
KEPT = MAX_FORGED_ENTRIES if os.environ.get("YETT_TEST_SOAK") else 100
LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Forgers(World):
    """Whoever forges, and what is remembered of it."""

    def __init__(self, **bounds: int) -> None:
        super().__init__()
        self.forged: TokenTable[Forged] = TokenTable(**bounds)
        self.bearer = self.with_memory(self.forged)

    def with_memory(self, forged: TokenTable[Forged]) -> Bearer:
        return Bearer(self.snapshot, self.table, lambda: self.now, forged=forged)

    def without_memory(self) -> Bearer:
        return self.with_memory(TokenTable())


@pytest.fixture
def world() -> Forgers:
    return Forgers()


def altered(token: bytes, number: int = 0) -> bytes:
    """The token with another signature, of the same length and spelling."""
    signed, _, signature = token.rpartition(b".")
    letters = bytes(LETTERS[(LETTERS.index(signature[at]) + shift) % 64] for at, shift in enumerate(_digits(number)))
    return signed + b"." + letters + signature[len(letters) :]


def _digits(number: int) -> list[int]:
    """In base 64, never nought alone."""
    number += 1
    return [number // 64**place % 64 for place in range(4)]


def moved(world: Forgers) -> None:
    world.snapshot.tenants[ISSUER] = Facts(world.snapshot.tenants[OTHER_ISSUER].id, "globex", ISSUER)


def suspended(world: Forgers) -> None:
    if ISSUER in world.snapshot.tenants:
        world.snapshot.tenants[ISSUER] = replace(world.snapshot.tenants[ISSUER], active=False)


def gone(world: Forgers) -> None:
    world.snapshot.tenants.pop(ISSUER, None)


def key_revoked(world: Forgers) -> None:
    world.snapshot.keys.pop((ACME, world.own.kid), None)


def key_of_another_algorithm(world: Forgers) -> None:
    jwk = SigningKey.generate("EdDSA").public_jwk() | {"kid": world.own.kid}
    world.snapshot.keys[ACME, world.own.kid] = VerifyingKey(jwk)


def expired(world: Forgers) -> None:
    world.now = NOW + 300.0


def nothing(_: Forgers) -> None:
    return None


CHANGES: tuple[tuple[Callable[[Forgers], None], str], ...] = (
    (nothing, "signature_invalid"),
    (suspended, "tenant_suspended"),
    (gone, "issuer_unknown"),
    (moved, "key_unknown"),
    (key_revoked, "key_unknown"),
    (key_of_another_algorithm, "alg_mismatch"),
    (expired, "token_expired"),
)


# --- what may be remembered


def test_a_remembered_refusal_spares_the_signature_check(world: Forgers) -> None:
    token = world.token()
    key = world.snapshot.keys[ACME, world.own.kid]
    world.forged.remember(token, Forged(ISSUER, world.own.kid, key, NOW + 300))  # a lie that only a check would find
    assert world.bearer.authenticate(token) == InvalidToken("signature_invalid")


@pytest.mark.parametrize("case", VECTORS, ids=[case["rule"] for case in VECTORS])
def test_only_a_signature_that_did_not_verify_is_remembered(world: Forgers, case: dict[str, Any]) -> None:
    first = world.bearer.authenticate(forge(world, case))
    assert len(world.forged) == (reason(first) == "signature_invalid")
    assert world.bearer.authenticate(forge(world, case)) == first


@pytest.mark.parametrize(("change", "wanted"), CHANGES, ids=[change.__name__ for change, _ in CHANGES])
def test_a_remembered_refusal_goes_by_what_is_so_now(
    world: Forgers, change: Callable[[Forgers], None], wanted: str
) -> None:
    token = altered(world.token())
    assert reason(world.bearer.authenticate(token)) == "signature_invalid"
    change(world)
    again = world.bearer.authenticate(token)
    assert reason(again) == wanted
    assert again == world.without_memory().authenticate(token)


@pytest.mark.parametrize("first", range(len(CHANGES)))
@pytest.mark.parametrize("second", range(len(CHANGES)))
def test_the_order_of_the_reasons_is_that_of_a_first_look(world: Forgers, first: int, second: int) -> None:
    token = altered(world.token())
    assert reason(world.bearer.authenticate(token)) == "signature_invalid"
    for change, _ in (CHANGES[first], CHANGES[second]):
        change(world)
    assert world.bearer.authenticate(token) == world.without_memory().authenticate(token)


def test_a_tenant_that_is_resumed_has_its_refusals_back(world: Forgers) -> None:
    token, facts = altered(world.token()), world.snapshot.tenants[ISSUER]
    assert reason(world.bearer.authenticate(token)) == "signature_invalid"
    suspended(world)
    assert reason(world.bearer.authenticate(token)) == "tenant_suspended"
    world.snapshot.tenants[ISSUER] = facts
    assert reason(world.bearer.authenticate(token)) == "signature_invalid"


# --- whom it may never hurt


def test_another_key_under_the_same_name_is_asked_for_itself(world: Forgers) -> None:
    stranger = SigningKey(world.own.kid, "ES256", world.stranger._key)
    token = world.token(stranger)
    assert reason(world.bearer.authenticate(token)) == "signature_invalid"
    world.snapshot.keys[ACME, world.own.kid] = stranger.verifying_key()
    assert principal(world.bearer.authenticate(token)).subject == "u-alice"


def test_a_remembered_refusal_never_refuses_a_good_token(world: Forgers) -> None:
    good = world.token()
    for number in range(200):
        assert reason(world.bearer.authenticate(altered(good, number))) == "signature_invalid"
    assert len(world.forged) == 200
    assert principal(world.bearer.authenticate(good)).subject == "u-alice"


def test_strangers_tokens_never_push_a_good_one_out() -> None:
    world = Forgers(max_entries=10)
    world.table = TokenTable(max_entries=2)
    world.bearer = world.with_memory(world.forged)
    good, other = world.token(), world.token(world.other, iss=OTHER_ISSUER)
    first = [world.bearer.authenticate(token) for token in (good, other)]
    for number in range(100):
        assert reason(world.bearer.authenticate(altered(good, number))) == "signature_invalid"
    assert [world.bearer.authenticate(token) is known for token, known in zip((good, other), first, strict=True)] == [
        True,
        True,
    ]


def test_a_good_token_of_a_tenant_under_attack_is_verified_as_ever(world: Forgers) -> None:
    for number in range(50):
        assert reason(world.bearer.authenticate(altered(world.token(), number))) == "signature_invalid"
        assert isinstance(world.bearer.authenticate(world.token(jti=f"new-{number}")), Principal)


# --- what it may cost


@pytest.mark.soak
def test_distinct_forged_tokens_take_no_more_memory_than_the_bound() -> None:
    world = Forgers(max_entries=KEPT, max_bytes=KEPT * 2048)
    good = world.token()
    assert reason(world.bearer.authenticate(altered(good))) == "signature_invalid"
    tracemalloc.start()
    try:
        for number in range(DISTINCT):
            assert reason(world.bearer.authenticate(altered(good, number))) == "signature_invalid"
            assert len(world.forged) <= KEPT
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held <= KEPT * 2048
    assert len(world.table) == 0
    assert reason(world.bearer.authenticate(altered(good))) == "signature_invalid"  # long forgotten, and refused


def test_a_forged_token_of_any_length_is_bounded_by_bytes() -> None:
    world = Forgers(max_bytes=100_000)
    for number in range(50):
        token = altered(world.token(pad="x" * 100 * number))
        assert reason(world.bearer.authenticate(token)) == "signature_invalid"
        assert world.forged.bytes_held <= 100_000
    assert 0 < len(world.forged) < 50
