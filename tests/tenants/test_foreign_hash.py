"""Other systems' password hashes: those of tests/vectors/foreign_hashes.json match, cost no more than is allowed, and
are Argon2id after a login.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from argon2 import extract_parameters
from hypothesis import given
from hypothesis import strategies as st
from pwdlib.hashers.argon2 import Argon2Hasher

from policies.password import Password, normalise
from tenants import argon2_hash, bcrypt_hash, foreign_hash, pbkdf2_hash, scrypt_hash
from tenants.argon2_hash import Cost, StoredHash
from tenants.bcrypt_hash import Bcrypt
from tenants.errors import InvalidValue
from tenants.hash_spellings import FirebaseProject, canonical
from tenants.hashing import HashingPool, Mismatch, Verified
from tenants.hashing_worker import FAILED, MISMATCH, VERIFIED, VERIFY, VERIFY_AND_HASH, Frame, answer, verification
from tenants.pbkdf2_hash import Pbkdf2
from tenants.scrypt_hash import FirebaseScrypt, Scrypt

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "foreign_hashes.json").read_text(encoding="utf-8"))
MATCHING = VECTORS["matching"]
CHEAP = Cost(memory_kib=256, time_cost=1)

matching = pytest.mark.parametrize("vector", MATCHING, ids=[vector["name"] for vector in MATCHING])


def password_of(vector: dict[str, Any]) -> bytes:
    accepted = normalise(vector["password"])
    assert isinstance(accepted, Password)
    return accepted.encoded()


@matching
def test_a_foreign_hash_matches_its_password_only_and_is_replaced_by_ours(vector: dict[str, Any]) -> None:
    """In the helper's own code: see the test of the pool below for the way there."""
    stored, password = canonical(vector["hash"]).text, password_of(vector)
    hasher = Argon2Hasher(time_cost=1, memory_cost=256, parallelism=1)
    assert foreign_hash.stored_hash(stored, Cost()) == StoredHash(stored, weaker=True)
    right = answer(hasher, Frame(1, VERIFY_AND_HASH, verification(stored, password)))
    assert right.kind == VERIFIED
    assert extract_parameters(right.body.decode()).type.name == "ID"
    for other in (b"x" + password, password[1:], b""):
        assert answer(hasher, Frame(1, VERIFY, verification(stored, other))) == Frame(1, MISMATCH, b"")


async def test_every_vector_logs_in_through_the_helper_process() -> None:
    pool = HashingPool(CHEAP, helpers=2)
    await pool.start()
    try:
        for vector in MATCHING:
            stored = canonical(vector["hash"]).text
            result = await pool.verify(stored, vector["password"])
            assert isinstance(result, Verified), vector["name"]
            assert await pool.verify(stored, "x" + vector["password"]) == Mismatch()
            if foreign_hash.cuts(stored, len(password_of(vector))):
                assert result.rehash is None
                continue
            if result.rehash is None:  # an Argon2id that is dearer than this test's own
                assert extract_parameters(stored).type.name == "ID"
                continue
            assert await pool.verify(result.rehash, vector["password"]) == Verified()
    finally:
        await pool.stop()


def test_there_is_a_vector_of_each_format_that_an_import_takes() -> None:
    schemes = {foreign_hash.scheme(canonical(vector["hash"]).text).partition(":")[0] for vector in MATCHING}
    assert schemes == {
        *("argon2i", "argon2id", "bcrypt", "bcrypt-sha256", "firebase-scrypt", "scrypt"),
        *("pbkdf2-sha1", "pbkdf2-sha256", "pbkdf2-sha512"),
    }
    assert all(vector["from"] for vector in MATCHING)


@pytest.mark.parametrize("spellings", VECTORS["same"])
def test_spellings_of_one_hash_are_stored_as_one_text(spellings: list[str]) -> None:
    assert len({canonical(written) for written in spellings}) == 1


@matching
def test_what_is_stored_is_taken_again_as_it_is(vector: dict[str, Any]) -> None:
    stored = canonical(vector["hash"]).text
    assert canonical(stored).text == stored
    assert canonical(stored).scheme == foreign_hash.scheme(stored)
    assert len(stored) <= foreign_hash.MAX_LENGTH


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=[vector["name"] for vector in VECTORS["refused"]])
def test_what_is_malformed_or_too_dear_is_not_taken(vector: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue) as refused:
        canonical(vector["hash"])
    assert vector["says"] in str(refused.value)
    assert vector["hash"] not in str(refused.value) or not vector["hash"]  # it may be a password
    assert foreign_hash.stored_hash(vector["hash"], Cost()) is None


@pytest.mark.parametrize("written", [None, 5, True, [], ["$2b$"], {}, {"hash": 1, "salt": 2}, b"$2b$"])
def test_what_is_no_text_and_no_credential_is_not_taken(written: object) -> None:
    with pytest.raises(InvalidValue):
        canonical(written)


@given(st.text(max_size=200))
def test_no_text_does_worse_than_not_to_be_taken(text: str) -> None:
    assert foreign_hash.stored_hash(text, Cost()) is None
    assert foreign_hash.scheme(text) == ""
    with pytest.raises(InvalidValue):
        canonical(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["credentialData", "secretData", "hash"]), inner)
        ),
        max_leaves=6,
    )
)
def test_no_json_does_worse_than_not_to_be_taken(value: object) -> None:
    with pytest.raises(InvalidValue):
        canonical(value)
    with pytest.raises(InvalidValue):
        canonical(json.dumps(value))


def test_what_is_at_its_cap_is_taken_and_what_is_over_it_is_not() -> None:
    salt, digest = bytes(16), bytes(32)
    at_cap = [
        Bcrypt(bcrypt_hash.MAX_COST, salt, bytes(23)),
        Pbkdf2("sha256", pbkdf2_hash.MAX_WORK, salt, digest),
        Pbkdf2("sha256", pbkdf2_hash.MAX_WORK // 2, salt, bytes(64)),
        Scrypt(17, 8, 2, salt, digest),
        Scrypt(14, 8, 16, salt, digest),
        Scrypt(1, 2**15, 2, salt, digest),
    ]
    over = [
        Bcrypt(bcrypt_hash.MAX_COST + 1, salt, bytes(23)),
        Pbkdf2("sha256", pbkdf2_hash.MAX_WORK + 1, salt, digest),
        Pbkdf2("sha256", pbkdf2_hash.MAX_WORK // 2 + 1, salt, bytes(64)),
        Scrypt(17, 9, 1, salt, digest),
        Scrypt(14, 8, 17, salt, digest),
        Scrypt(1, 2**19, 2, salt, digest),  # 128 MiB of blocks, and 400 beside them
        Scrypt(1, 2**15, 3, salt, digest),
        FirebaseScrypt(1, 2**16, salt, digest, digest),
    ]
    assert scrypt_hash.MAX_MEMORY == 128 * 8 * 2**17
    for taken in at_cap:
        assert canonical(taken.text).text == taken.text
        assert foreign_hash.stored_hash(taken.text, Cost()) == StoredHash(taken.text, weaker=True)
    for refused in over:
        assert foreign_hash.stored_hash(refused.text, Cost()) is None
        with pytest.raises(InvalidValue, match=r"too (much|dear)"):
            canonical(refused.text)
    django = argon2_hash.unmatchable(Cost(102_400, 2, 8))  # what its Argon2PasswordHasher makes by default
    assert canonical(django).text == django


def test_the_helper_does_not_compute_what_it_does_not_know() -> None:
    asked = Frame(1, VERIFY, verification("$1$aaaaaaaa$aaaaaaaaaaaaaaaaaaaaaa", b"x"))
    assert answer(Argon2Hasher(), asked) == Frame(1, FAILED, b"ValueError")


# --- schemes


@matching
def test_what_stands_in_for_a_hash_costs_what_it_does_and_matches_nothing(vector: dict[str, Any]) -> None:
    stored = canonical(vector["hash"]).text
    label = foreign_hash.scheme(stored)
    assert 0 < len(label) <= 64
    other = foreign_hash.unmatchable(label)
    assert foreign_hash.scheme(other) == label
    assert other != foreign_hash.unmatchable(label)
    assert foreign_hash.stored_hash(other, Cost()) == StoredHash(other, weaker=True)
    hasher = Argon2Hasher()
    assert answer(hasher, Frame(1, VERIFY, verification(other, password_of(vector)))).kind == MISMATCH


@pytest.mark.parametrize("label", ["", "*", "md5:1", "bcrypt", "bcrypt:12x", "argon2d:m=1,t=1,p=1", "pbkdf2-md5:1"])
def test_what_is_no_scheme_costs_what_ours_do_today(label: str) -> None:
    assert foreign_hash.unmatchable(label) == foreign_hash.NOBODY


def test_the_scheme_tells_all_that_decides_the_time() -> None:
    salt = bytes(16)
    assert foreign_hash.scheme(argon2_hash.unmatchable(Cost())) == "argon2id:m=19456,t=2,p=1"
    assert Bcrypt(12, salt, bytes(23)).scheme == "bcrypt:12"
    assert Bcrypt(12, salt, bytes(23), prehashed=True).scheme == "bcrypt-sha256:12"
    assert Pbkdf2("sha256", 600_000, salt, bytes(32)).scheme == "pbkdf2-sha256:600000"
    assert Pbkdf2("sha256", 27_500, salt, bytes(64)).scheme == "pbkdf2-sha256:27500x2"
    assert Scrypt(14, 8, 5, salt, bytes(64)).scheme == "scrypt:ln=14,r=8,p=5"


# --- Firebase's project

CONFIG = """\
hash_config {
  algorithm: SCRYPT,
  base64_signer_key: jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==,
  base64_salt_separator: Bw==,
  rounds: 8,
  mem_cost: 14,
}
"""


def test_a_firebase_export_needs_only_hash_and_salt_beside_the_projects_parameters() -> None:
    (vector,) = (each for each in MATCHING if each["name"] == "Firebase")
    whole = json.loads(vector["hash"])
    project = FirebaseProject.parse(CONFIG)
    expected = canonical(vector["hash"]).text
    assert canonical(whole["hash"], salt=whole["salt"], project=project).text == expected
    assert canonical({"hash": whole["hash"], "salt": whole["salt"]}, project=project).text == expected
    with pytest.raises(InvalidValue, match="needs its project's"):
        canonical(whole["hash"], salt=whole["salt"])
    with pytest.raises(InvalidValue, match="needs its project's"):
        canonical({"hash": whole["hash"], "salt": whole["salt"], "rounds": 8}, project=project)
    assert "signer_key" not in repr(project)


@pytest.mark.parametrize("missing", ["base64_signer_key", "base64_salt_separator", "rounds", "mem_cost"])
def test_a_firebase_project_has_all_of_its_parameters(missing: str) -> None:
    with pytest.raises(InvalidValue, match="password hash parameters"):
        FirebaseProject.parse(CONFIG.replace(missing, "other"))
