"""Signed notes, against the example of the format's first implementation (Go, golang.org/x/mod/sumdb/note)."""

import base64

import pytest

from policies.checkpoint import Checkpoint, MalformedCheckpoint
from tenants.signed_note import LARGEST_NOTE, MalformedKey, NotSigned, SignerKey, VerifierKey

NAME = "auth.example.com/t/acme/audit"
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETERS_NOTE = """If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
"""
SUM_GOLANG_ORG = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
ROOT = bytes(range(32))


@pytest.fixture(scope="module")
def key() -> SignerKey:
    return SignerKey.generate(NAME)


def test_the_note_of_the_formats_first_implementation_is_verified() -> None:
    assert VerifierKey.parse(PETER).text_of(PETERS_NOTE) == PETERS_NOTE.rpartition("\n\n")[0] + "\n"
    with pytest.raises(NotSigned, match="it was altered"):
        VerifierKey.parse(PETER).text_of(PETERS_NOTE.replace("answer", "anguish"))


@pytest.mark.parametrize("text", [PETER, SUM_GOLANG_ORG])
def test_a_key_of_others_is_read_as_it_is_written(text: str) -> None:
    assert VerifierKey.parse(f"{text}\n").text() == text


def test_a_checkpoint_is_opened_with_its_key(key: SignerKey) -> None:
    note = key.signed(7, ROOT)
    assert key.verifier.opened(note) == Checkpoint(NAME, 7, ROOT)
    assert VerifierKey.parse(key.verifier.text()).opened(note).size == 7
    again = SignerKey.from_private(NAME, key.private_bytes())
    assert again.signed(7, ROOT) == note
    assert "private" not in repr(key)
    assert repr(key) == f"SignerKey(name={NAME!r})"


def test_signatures_of_others_beside_it_are_passed_over(key: SignerKey) -> None:
    witness = SignerKey.generate("witness.example")
    text = Checkpoint(NAME, 7, ROOT).text()
    theirs = base64.b64encode(witness.verifier.hash + bytes(64)).decode()
    note = key.signed(7, ROOT).replace("\n\n", f"\n\n— witness.example {theirs}\n")
    assert note.startswith(text)
    assert key.verifier.opened(note).size == 7


def test_another_key_and_another_log_are_told(key: SignerKey) -> None:
    note = key.signed(7, ROOT)
    with pytest.raises(NotSigned, match=f"is signed by {NAME}.*and not by {NAME}"):
        SignerKey.generate(NAME).verifier.opened(note)
    with pytest.raises(NotSigned, match=r"of the log auth.*acme/audit, and the key of .*globex"):
        SignerKey.generate("auth.example.com/t/globex/audit").verifier.opened(note)


def test_every_altered_sign_of_a_note_is_found(key: SignerKey) -> None:
    note = key.signed(1042, ROOT)
    for place, sign in enumerate(note):
        altered = note[:place] + ("B" if sign == "A" else "A") + note[place + 1 :]
        with pytest.raises((MalformedCheckpoint, NotSigned)):
            key.verifier.opened(altered)
    for end in range(len(note)):
        with pytest.raises((MalformedCheckpoint, NotSigned)):
            key.verifier.opened(note[:end])


def test_what_is_no_note_is_refused(key: SignerKey) -> None:
    text = Checkpoint(NAME, 7, ROOT).text()
    for note in (
        text,
        f"{text}\n- {NAME} AAAA\n",
        f"{text}\n— {NAME}\n",
        f"{text}\n— {NAME} AA==\n",
        f"{text}\n— {NAME} ?\n",
        f"{text}\n— \x1b[2J AAAAAAAA\n",
        f"{text}\n" + f"— {NAME} AAAAAAAA\n" * 17,
        "a" * (LARGEST_NOTE + 1),
    ):
        with pytest.raises(MalformedCheckpoint):
            key.verifier.opened(note)


@pytest.mark.parametrize(
    "text",
    [
        "",
        NAME,
        f"{NAME}+00000000",
        f"{NAME}+00000000+{base64.b64encode(bytes(33)).decode()}",
        f"{NAME}+00000000+{base64.b64encode(bytes([1]) + bytes(32)).decode()}",
        PETER.replace("c74f20a3", "C74F20A3"),
        PETER.replace("Peter", "Pet er"),
        PETER.replace("10TW", "10TX"),
        PETER[:-1],
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(MalformedKey):
        VerifierKey.parse(text)
