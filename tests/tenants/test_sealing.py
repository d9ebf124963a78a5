"""Sealing: what opens, what does not, and what the operator is told."""

import base64
import stat
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.sealing import (
    MasterKey,
    MasterKeyExists,
    MasterKeyExposed,
    MasterKeyMalformed,
    MasterKeyMissing,
    MasterKeys,
    MasterKeyUnreadable,
    Unsealable,
)

OLD, NEW = MasterKey("old", b"o" * 32), MasterKey("new", b"n" * 32)
PLACE: dict[str, Any] = {"tenant": UUID(int=1), "table": "signing_keys", "row": "kid-1", "column": "private_key"}
SECRET = b"the private half"


def reason(ring: MasterKeys, sealed: bytes, **place: Any) -> str:
    with pytest.raises(Unsealable) as error:
        ring.open(sealed, **PLACE | place)
    return error.value.reason


# --- seals


def test_what_was_sealed_opens_in_its_place() -> None:
    ring = MasterKeys([NEW])
    assert ring.open(ring.seal(SECRET, **PLACE), **PLACE) == SECRET


def test_an_empty_secret_can_be_sealed() -> None:
    ring = MasterKeys([NEW])
    assert ring.open(ring.seal(b"", **PLACE), **PLACE) == b""


@pytest.mark.parametrize(
    "elsewhere",
    [{"tenant": UUID(int=2)}, {"tenant": ""}, {"table": "totp"}, {"row": "kid-2"}, {"column": "secret"}],
)
def test_a_seal_does_not_open_elsewhere(elsewhere: dict[str, Any]) -> None:
    ring = MasterKeys([NEW])
    assert reason(ring, ring.seal(SECRET, **PLACE), **elsewhere) == "not_authentic"


def test_no_two_places_share_an_encoding() -> None:
    ring = MasterKeys([NEW])
    sealed = ring.seal(SECRET, tenant="t", table="ab", row="c", column="d")
    with pytest.raises(Unsealable):
        ring.open(sealed, tenant="t", table="a", row="bc", column="d")


def test_the_same_secret_is_sealed_differently_each_time() -> None:
    ring = MasterKeys([NEW])
    assert len({ring.seal(SECRET, **PLACE) for _ in range(100)}) == 100


@given(st.data())
def test_no_changed_bit_goes_unnoticed(data: st.DataObject) -> None:
    ring = MasterKeys([NEW])
    sealed = bytearray(ring.seal(SECRET, **PLACE))
    place = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[place // 8] ^= 1 << place % 8
    with pytest.raises(Unsealable):
        ring.open(bytes(sealed), **PLACE)


@given(st.binary(max_size=80))
def test_what_is_no_envelope_is_told_apart(stored: bytes) -> None:
    with pytest.raises(Unsealable):
        MasterKeys([NEW]).open(stored, **PLACE)


@pytest.mark.parametrize("size", range(32))
def test_a_truncated_envelope_is_malformed(size: int) -> None:
    ring = MasterKeys([NEW])
    assert reason(ring, ring.seal(SECRET, **PLACE)[:size]) == "envelope_malformed"


# --- the ring


def test_the_first_key_seals_and_all_open() -> None:
    sealed = MasterKeys([OLD]).seal(SECRET, **PLACE)
    ring = MasterKeys([NEW, OLD])
    assert ring.active_id == "new"
    assert ring.open(sealed, **PLACE) == SECRET


def test_a_key_that_is_not_in_the_ring_is_named() -> None:
    sealed = MasterKeys([OLD]).seal(SECRET, **PLACE)
    assert reason(MasterKeys([NEW]), sealed) == "master_key_unknown"
    with pytest.raises(Unsealable, match=r"under the master key old, which is not in the key file \(it has new\)"):
        MasterKeys([NEW]).open(sealed, **PLACE)


def test_another_key_under_the_same_id_does_not_open() -> None:
    sealed = MasterKeys([OLD]).seal(SECRET, **PLACE)
    assert reason(MasterKeys([MasterKey("old", b"x" * 32)]), sealed) == "not_authentic"


def test_no_repr_and_no_message_shows_a_key() -> None:
    ring = MasterKeys([NEW, OLD])
    assert repr(ring) == "MasterKeys(active='new', ids=['new', 'old'])"
    assert "nnn" not in repr(NEW)


@pytest.mark.parametrize(
    "keys", [[], [NEW, NEW], [MasterKey("short", b"x" * 31)], [MasterKey("", b"x" * 32)], [MasterKey("é", b"x" * 32)]]
)
def test_a_ring_of_no_use_is_refused(keys: list[MasterKey]) -> None:
    with pytest.raises(ValueError, match=r"master key|ring"):
        MasterKeys(keys)


# --- the file


def test_a_created_file_is_its_owners_alone_and_opens_what_was_sealed(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    created = MasterKeys.create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    loaded = MasterKeys.load(path)
    assert loaded.active_id == created.active_id
    assert loaded.open(created.seal(SECRET, **PLACE), **PLACE) == SECRET


def test_a_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    path.write_text("precious")
    with pytest.raises(MasterKeyExists, match="left alone"):
        MasterKeys.create(path)
    assert path.read_text() == "precious"


def test_a_dangling_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MasterKeyExists):
        MasterKeys.create(tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MasterKeyMissing, match=r"master\.key: restore that file from its backup, or run `yett init`"):
        MasterKeys.load(tmp_path / "master.key")


def test_a_folder_in_its_place_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MasterKeyUnreadable, match="let the user that runs Yett read it"):
        MasterKeys.load(tmp_path)


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o444, 0o664])
def test_a_file_that_everybody_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "master.key"
    MasterKeys.create(path)
    path.chmod(mode)
    with pytest.raises(MasterKeyExposed, match=rf"{path} can be read by every user.*chmod 600"):
        MasterKeys.load(path)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440, 0o640])
def test_a_file_may_be_readable_to_its_group(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "master.key"
    created = MasterKeys.create(path)
    path.chmod(mode)
    assert MasterKeys.load(path).active_id == created.active_id


def test_comments_and_empty_lines_say_nothing() -> None:
    ring = MasterKeys.parse(f"# first\n\n{NEW.line()}   # indented\n{OLD.line()}")
    assert ring.open(MasterKeys([OLD]).seal(SECRET, **PLACE), **PLACE) == SECRET
    assert ring.active_id == "new"


def test_padding_is_allowed_in_a_file_that_was_written_by_hand() -> None:
    padded = base64.urlsafe_b64encode(NEW.secret).decode()
    assert MasterKeys.parse(f"new {padded}").active_id == "new"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "f: there is no key in it"),
        ("# nothing\n", "f: there is no key in it"),
        ("\nnew\n", "f, line 2: two fields"),
        ("new AAAA BBBB", "f, line 1: two fields"),
        ("new AAAA", "f, line 1: the key has 3 bytes where 32 are wanted"),
        ("new ****", "f, line 1: the key is not base64url"),
        ("new AAAAA", "f, line 1: the key is not base64url"),
        ("n/w " + "A" * 43, "f, line 1: a key id is made of"),
        (NEW.line() + NEW.line(), "f, line 2: the key id new occurs twice"),
    ],
)
def test_a_malformed_file_names_file_and_line(text: str, complaint: str) -> None:
    with pytest.raises(MasterKeyMalformed) as error:
        MasterKeys.parse(text, source="f")
    assert str(error.value).startswith(complaint)


def test_no_complaint_shows_what_stands_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    path.touch(mode=0o600)
    for content in (b"new SECRETSECRET*", b"new SECRET\xffSECRET", b"SECRET/ " + b"A" * 43):
        path.write_bytes(content)
        with pytest.raises(MasterKeyMalformed) as error:
            MasterKeys.load(path)
        assert "SECRET" not in str(error.value)
        assert error.value.__cause__ is None


# --- another ring, while everything runs


def test_a_ring_becomes_another_for_everybody_who_has_it() -> None:
    ring = MasterKeys([OLD])
    before = ring.seal(SECRET, **PLACE)
    ring.take(MasterKeys([NEW, OLD]))
    assert (ring.active_id, ring.ids) == (NEW.id, (NEW.id, OLD.id))
    assert ring.open(before, **PLACE) == SECRET
    assert MasterKeys([NEW]).open(ring.seal(SECRET, **PLACE), **PLACE) == SECRET
    assert ring.derived("x") == MasterKeys([NEW, OLD]).derived("x")


@pytest.mark.parametrize(
    ("keys", "may"),
    [
        ([OLD, NEW], True),
        ([NEW, OLD], True),
        ([OLD], True),
        ([NEW], False),
        ([NEW, MasterKey(OLD.id, b"x" * 32)], False),
    ],
)
def test_a_ring_may_become_one_that_opens_what_it_has_sealed(keys: list[MasterKey], may: bool) -> None:
    assert MasterKeys([OLD]).may_become(MasterKeys(keys)) is may
