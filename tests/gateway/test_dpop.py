"""Proofs of possession: what is good, what is refused and why, nonces, and what is seen once only."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gateway.authn.dpop import Possession, Proof, ProofCheck, SeenProofs
from gateway.authn.dpop_nonce import SPAN, DpopNonces
from policies import dpop
from policies.dpop import Invalid, NonceWanted
from policies.principal import Principal
from tests.gateway.prover import Prover, b64

NOW = 1_800_000_000.0
ACME, GLOBEX = UUID(int=1), UUID(int=2)
URL = "https://auth.example.com/t/acme/token"
TOKEN = "an.access.token"
VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "dpop.json").read_text())


class World:
    """A server's part of it, and a clock that stands."""

    def __init__(self, *keys: bytes) -> None:
        self.now = NOW
        self.nonces = DpopNonces(lambda: keys or [bytes(32)], lambda: self.now)
        self.check = ProofCheck(self.nonces, lambda: self.now)
        self.seen = SeenProofs(most=3)
        self.possession = Possession(self.check, self.seen, lambda: self.now)
        self.prover = Prover()
        self.prover.nonce = self.nonces.current(ACME)

    def proof(self, **changes: Any) -> str:
        return self.prover.prove("POST", URL, self.now, **changes)

    def checked(self, *proofs: str, **more: Any) -> Proof | Invalid | NonceWanted:
        fields = [proof.encode() for proof in proofs]
        return self.check.check(fields, ACME, method="POST", url=URL, **more)

    def sent(self, proof: str, **changes: Any) -> Proof | Invalid | NonceWanted:
        """With an access token, which is bound to the key unless it is said otherwise."""
        confirmation = changes.pop("confirmation", self.prover.thumbprint)
        who = Principal(ACME, "acme", "alice", "spa", frozenset(), frozenset(), "t1", 1, 2, confirmation=confirmation)
        return self.possession.prove(who, TOKEN.encode(), [proof.encode()], method="POST", url=URL)


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("case", VECTORS["proofs"], ids=lambda case: case["rule"])
def test_a_proof(world: World, case: dict[str, Any]) -> None:
    found = world.checked(_forged(world, case))
    match case["reason"]:
        case None:
            assert isinstance(found, Proof)
            assert found.thumbprint == world.prover.thumbprint
        case "nonce_wanted":
            assert found == NonceWanted()
        case reason:
            assert found == Invalid(reason)


@pytest.mark.parametrize("alg", dpop.ALGORITHMS)
def test_each_algorithm_proves(world: World, alg: str) -> None:
    world.prover, nonce = Prover(alg), world.prover.nonce
    world.prover.nonce = nonce
    found = world.checked(world.proof())
    assert isinstance(found, Proof)
    assert found.thumbprint == world.prover.thumbprint


def test_there_is_one_proof(world: World) -> None:
    assert world.checked() == Invalid("dpop_proof_missing")
    assert world.checked(world.proof(), world.proof()) == Invalid("dpop_repeated")
    same = world.proof()
    assert world.checked(same, same) == Invalid("dpop_repeated")


def test_bytes_that_are_no_text_are_no_proof(world: World) -> None:
    assert world.check.check([b"\xff\xfe"], ACME, method="POST", url=URL) == Invalid("dpop_malformed")


# --- nonces


def test_a_nonce_lives_through_its_span_and_the_next(world: World) -> None:
    first = world.nonces.current(ACME)
    world.now += SPAN
    assert world.nonces.current(ACME) != first
    assert isinstance(world.checked(world.proof()), Proof)
    world.now += SPAN
    assert world.checked(world.proof()) == NonceWanted()


def test_a_process_whose_clock_is_ahead_gives_out_nonces_that_count(world: World) -> None:
    ahead = DpopNonces(lambda: [bytes(32)], lambda: world.now + SPAN)
    assert ahead.current(ACME) in world.nonces.accepted(ACME)
    far = DpopNonces(lambda: [bytes(32)], lambda: world.now + 2 * SPAN)
    assert far.current(ACME) not in world.nonces.accepted(ACME)


def test_every_process_with_the_same_ring_takes_the_same_nonces() -> None:
    old, new = b"o" * 32, b"n" * 32
    before, meanwhile, after = World(old), World(old, new), World(new, old)
    for one in (before, meanwhile, after):
        for other in (meanwhile, after):
            assert one.nonces.current(ACME) in other.nonces.accepted(ACME)


def test_a_nonce_is_of_one_tenant_and_of_one_installation(world: World) -> None:
    assert not world.nonces.accepted(ACME) & world.nonces.accepted(GLOBEX)
    assert not world.nonces.accepted(ACME) & World(b"x" * 32).nonces.accepted(ACME)


def test_nonces_need_a_key() -> None:
    with pytest.raises(ValueError):
        DpopNonces(list, lambda: 0.0)


# --- with an access token


def test_the_key_is_the_one_that_the_token_is_bound_to(world: World) -> None:
    assert isinstance(world.sent(world.proof(ath=_ath(TOKEN))), Proof)
    assert world.sent(world.proof(ath=_ath(TOKEN)), confirmation=Prover().thumbprint) == Invalid("dpop_key_mismatch")


def test_the_proof_is_for_this_token(world: World) -> None:
    assert world.sent(world.proof()) == Invalid("dpop_token_hash")
    assert world.sent(world.proof(ath=_ath("another"))) == Invalid("dpop_token_hash")
    assert world.sent(world.proof(ath=_ath(TOKEN) + "=")) == Invalid("dpop_token_hash")


def test_a_token_that_is_not_bound_has_no_proof(world: World) -> None:
    assert world.sent(world.proof(ath=_ath(TOKEN)), confirmation=None) == Invalid("token_not_bound")


def test_a_proof_counts_once(world: World) -> None:
    proof = world.proof(ath=_ath(TOKEN))
    assert isinstance(world.sent(proof), Proof)
    assert world.sent(proof) == Invalid("dpop_replayed")
    world.now += dpop.MAX_AGE - 1
    assert world.sent(proof) == Invalid("dpop_replayed")
    world.now += 1
    assert world.sent(proof) == Invalid("dpop_too_old")


def test_one_identifier_of_one_key_counts_once_whatever_the_rest(world: World) -> None:
    assert isinstance(world.sent(world.proof(ath=_ath(TOKEN), jti="same")), Proof)
    assert world.sent(world.proof(ath=_ath(TOKEN), jti="same")) == Invalid("dpop_replayed")
    world.prover, nonce = Prover(), world.prover.nonce
    world.prover.nonce = nonce
    assert isinstance(world.sent(world.proof(ath=_ath(TOKEN), jti="same")), Proof)


def test_a_bad_proof_is_not_remembered(world: World) -> None:
    assert world.sent(world.proof(ath=_ath("another"))) == Invalid("dpop_token_hash")
    assert len(world.seen) == 0


# --- what was seen


def test_the_table_is_bounded_and_the_oldest_go_first(world: World) -> None:
    proofs = [Proof("key", f"key.{number}", NOW + 60 + number) for number in range(4)]
    assert all(world.seen.first_time(proof, NOW) for proof in proofs)
    assert len(world.seen) == 3
    assert [world.seen.first_time(proof, NOW) for proof in reversed(proofs)] == [False, False, False, True]


def test_what_has_expired_makes_room_and_may_come_again(world: World) -> None:
    first = Proof("key", "key.1", NOW + 60)
    assert world.seen.first_time(first, NOW)
    assert world.seen.first_time(Proof("key", "key.2", NOW + 90), NOW + 60)
    assert len(world.seen) == 1
    assert world.seen.first_time(Proof("key", "key.1", NOW + 120), NOW + 60)
    assert not world.seen.first_time(Proof("key", "key.1", NOW + 120), NOW + 60)


def test_a_table_holds_something() -> None:
    with pytest.raises(ValueError):
        SeenProofs(most=0)


def _ath(token: str) -> str:
    return b64(hashlib.sha256(token.encode()).digest())


def _forged(world: World, case: dict[str, Any]) -> str:
    if "text" in case:
        return str(case["text"])
    fill = {"%globex%": world.nonces.current(GLOBEX)}

    def changed(value: Any) -> Any:
        if isinstance(value, dict) and value.keys() == {"now"}:
            return NOW + value["now"] if isinstance(value["now"], float) else int(NOW) + value["now"]
        if isinstance(value, str) and value.startswith("%repeat"):
            return "x" * int(value.strip("%").split()[1])
        return fill.get(value, value) if isinstance(value, str) else value

    def merged(good: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
        both = {**good, **{name: changed(value) for name, value in changes.items()}}
        return {name: value for name, value in both.items() if value is not None}

    header = world.prover.header()
    header["jwk"] = merged(header["jwk"], case.get("jwk", {}))
    header = merged(header, case.get("header", {}))
    claims = merged(world.prover.claims("POST", URL, NOW), case.get("claims", {}))
    how = case.get("sign", "own")
    if how == "other":
        return Prover().signed(header, claims)
    good = world.prover.signed(header, claims)
    signing_input = good.rpartition(".")[0]
    secret = json.dumps(world.prover.jwk).encode()
    signatures = {
        "nothing": b"",
        "zeros": bytes(64),
        "hmac": hmac.digest(secret, signing_input.encode(), hashlib.sha256),
    }
    return good if how == "own" else f"{signing_input}.{b64(signatures[how])}"


def test_another_ring_counts_from_the_next_span_on() -> None:
    keys, now = [bytes(32)], [NOW]
    nonces = DpopNonces(lambda: list(keys), lambda: now[0])
    others = DpopNonces(lambda: [b"n" * 32, bytes(32)], lambda: now[0])
    before = nonces.current(ACME)
    keys.insert(0, b"n" * 32)
    assert nonces.current(ACME) == before
    assert before in others.accepted(ACME)
    now[0] += SPAN
    assert nonces.current(ACME) == others.current(ACME) != before
    assert before in nonces.accepted(ACME)
