"""The text of a checkpoint: one reading or none."""

import base64

import pytest

from policies.checkpoint import Checkpoint, MalformedCheckpoint, exact_base64
from policies.merkle import EMPTY_ROOT

ROOT = base64.b64encode(bytes(range(32))).decode()
ORIGIN = "auth.example.com/t/acme/audit"


def test_a_checkpoint_is_read_as_it_is_written() -> None:
    checkpoint = Checkpoint(ORIGIN, 1042, bytes(range(32)))
    assert checkpoint.text() == f"{ORIGIN}\n1042\n{ROOT}\n"
    assert Checkpoint.parse(checkpoint.text()) == checkpoint
    assert Checkpoint.parse(checkpoint.text() + "another writer's line\n") == checkpoint
    empty = Checkpoint("[::1]:8080/t/acme/audit", 0, EMPTY_ROOT)
    assert Checkpoint.parse(empty.text()) == empty


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n\n",
        f"{ORIGIN}\n1042\n{ROOT}",
        f"{ORIGIN}\n1042\n",
        f"\n1042\n{ROOT}\n",
        f"two words\n1042\n{ROOT}\n",
        f"a+b\n1042\n{ROOT}\n",
        f"{'a' * 401}\n1042\n{ROOT}\n",
        f"{ORIGIN}\n01\n{ROOT}\n",
        f"{ORIGIN}\n-1\n{ROOT}\n",
        f"{ORIGIN}\n+1\n{ROOT}\n",
        f"{ORIGIN}\n1.0\n{ROOT}\n",
        f"{ORIGIN}\nNaN\n{ROOT}\n",
        f"{ORIGIN}\n١\n{ROOT}\n",
        f"{ORIGIN}\n{'9' * 19}\n{ROOT}\n",
        f"{ORIGIN}\n1042\n{ROOT[:-1]}\n",
        f"{ORIGIN}\n1042\n{ROOT[:-4]}\n",
        f"{ORIGIN}\n1042\n {ROOT}\n",
        f"{ORIGIN}\n1042\r\n{ROOT}\n",
        f"{ORIGIN}\n0\n{ROOT}\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(MalformedCheckpoint):
        Checkpoint.parse(text)


@pytest.mark.parametrize("text", ["QQ", "QR==", "QQ==\n", "Q Q==", "QQ=", "Q-==", "é", "QUE="])
def test_base64_has_one_spelling(text: str) -> None:
    assert exact_base64("QQ==", 1) == b"A"
    with pytest.raises(MalformedCheckpoint):
        exact_base64(text, 1)
