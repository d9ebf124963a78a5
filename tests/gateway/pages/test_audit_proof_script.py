"""The script that verifies proofs in browsers, run by Node: against proofs that are made here, and RFC 9162's trees of
every shape.
"""

import json
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from policies.audit_file import End, FiledEvent, Header, written
from policies.merkle import entry_hash, leaf_hash, root_of
from policies.merkle_proof import inclusion_ranges
from tenants.signed_note import SignerKey

SCRIPT = Path(__file__).parents[3] / "gateway" / "pages" / "static" / "audit_proof.js"
NAME = "auth.example.com/t/acme/audit"
KEY = SignerKey.generate(NAME)
SALT = bytes(range(16))
SIZES = [*range(1, 18), 31, 32, 33, 255, 256, 257, 600]

_RUN = """
import { readFileSync } from "node:fs";
const { verify, Disproved } = await import("data:text/javascript," + encodeURIComponent(readFileSync(%s, "utf8")));
const answers = [];
for (const [file, key, id] of JSON.parse(readFileSync(0, "utf8"))) {
  try {
    answers.push(await verify(file, key, id));
  } catch (error) {
    if (!(error instanceof Disproved)) throw error;
    answers.push(error.message);
  }
}
console.log(JSON.stringify(answers));
"""

Case = tuple[str, str, str]


def verified(cases: Sequence[Case]) -> list[Any]:
    """What the script says of each: what it found, or why it does not believe it."""
    node = shutil.which("node")
    assert node is not None, "Node.js is needed (on Debian: apt-get install nodejs)"
    program = [node, "--no-warnings", "--input-type=module", "--eval", _RUN % json.dumps(str(SCRIPT))]
    ran = subprocess.run(
        program, input=json.dumps(cases), capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    answers: list[Any] = json.loads(ran.stdout)
    return answers


def event(position: int) -> str:
    return json.dumps({"id": f"e{position}", "user_name": "Jürgen"}, ensure_ascii=False, separators=(",", ":"))


def case(position: int, size: int, key: SignerKey = KEY) -> Case:
    """A proof as `yett audit prove` writes it."""
    leaves = [leaf_hash(entry_hash(SALT, event(each).encode())) for each in range(size)]
    proof = [root_of(leaves[begin:end]) for begin, end in inclusion_ranges(position, size)]
    note = key.signed(size, root_of(leaves))
    filed = FiledEvent(position, leaves[position], SALT, event(position), proof)
    parts = (Header("events", "acme", note, {"id": f"e{position}"}), filed, End(1))
    return "".join(written(part) + "\n" for part in parts), KEY.verifier.text(), f"e{position}"


def changed(file: str, line: int, change: Callable[[dict[str, Any]], object]) -> str:
    """The file with one of its lines changed."""
    lines = file.splitlines()
    fields = json.loads(lines[line])
    change(fields)
    lines[line] = json.dumps(fields, ensure_ascii=False)
    return "\n".join(lines) + "\n"


def test_each_event_of_a_tree_of_any_shape_is_found() -> None:
    places = [(place, size) for size in SIZES for place in {0, 1, size // 2, size - 2, size - 1} if 0 <= place < size]
    answers = verified([case(place, size) for place, size in places])
    assert answers == [
        {"position": place, "size": size, "event": event(place), "signature": "right"} for place, size in places
    ]


def _alter(fields: dict[str, Any]) -> None:
    fields["event"] = fields["event"].replace("Jürgen", "Jurgen")


def _alter_with_leaf(fields: dict[str, Any]) -> None:
    """Whoever alters an event can hash it anew; the root stays another one."""
    _alter(fields)
    fields["leaf"] = b64encode(leaf_hash(entry_hash(SALT, fields["event"].encode()))).decode()


TAMPERED: dict[str, tuple[int, Callable[[dict[str, Any]], object], str]] = {
    "event": (1, _alter, "altered"),
    "event and leaf": (1, _alter_with_leaf, "another root"),
    "erased": (1, lambda fields: fields.update(event=None, salt=None), "erased"),
    "salt": (1, lambda fields: fields.update(salt=b64encode(bytes(16)).decode()), "altered"),
    "position": (1, lambda fields: fields.update(position=4), "another root"),
    "position behind the end": (1, lambda fields: fields.update(position=700), "no such event"),
    "position that is text": (1, lambda fields: fields.update(position="5"), "malformed"),
    "a hash too few": (1, lambda fields: fields["proof"].pop(), "another root"),
    "a hash too many": (1, lambda fields: fields["proof"].append(fields["proof"][0]), "another root"),
    "no proof": (1, lambda fields: fields.pop("proof"), "malformed"),
    "too long a proof": (1, lambda fields: fields.update(proof=fields["proof"] * 20), "malformed"),
    "size": (0, lambda fields: fields.update(checkpoint=fields["checkpoint"].replace("\n11\n", "\n12\n")), "signature"),
    "signature": (0, lambda fields: fields.update(checkpoint=fields["checkpoint"].rpartition("\n\n")[0]), "signature"),
    "kind": (0, lambda fields: fields.update(kind="log"), "no proof"),
    "end": (2, lambda fields: fields.update(end=2), "not of one"),
}


def test_whatever_is_altered_is_not_believed() -> None:
    file, key, event_id = case(5, 11)
    answers = verified([(changed(file, line, change), key, event_id) for line, change, _ in TAMPERED.values()])
    for (name, (_, _, told)), answer in zip(TAMPERED.items(), answers, strict=True):
        assert isinstance(answer, str), name
        assert told in answer, (name, answer)


def test_a_proof_of_another_event_log_or_key_proves_nothing() -> None:
    file, key, event_id = case(5, 11)
    other_log = SignerKey.generate("auth.example.com/t/globex/audit").verifier.text()
    other_key = SignerKey.generate(NAME)
    answers = verified(
        [
            (file, key, "e6"),
            (file, other_log, event_id),
            (file, other_key.verifier.text(), event_id),
            case(5, 11, other_key),
            (file, key.replace("+", "+0", 1), event_id),
            (file, "", event_id),
            ("", key, event_id),
            ("\n\n\n", key, event_id),
            (file + "\n", key, event_id),
            (file.replace("\n", "\nnull", 1), key, event_id),
        ]
    )
    assert [answer for answer in answers if not isinstance(answer, str)] == []
    assert answers[0] == "The proof is of another event."
    assert answers[1] == "The checkpoint is of another log than the key."
    assert answers[2] == answers[3] == "The checkpoint is not signed with the log's key."
