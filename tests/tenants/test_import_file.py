"""Files of users to import: JSON lines and CSV, faulty lines told by their number, no field that is not known."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.errors import InvalidValue
from tenants.import_file import Format, ImportFile, Record
from tenants.import_lines import Faulty, NewUser, Rules, read
from tenants.seen_keys import SeenKeys

BCRYPT = "$2b$04$E8sRRr.uiY9EjWLV3/l5T.mmRhTJD9o8z/HUOM6Z.s2Hyt7DTeklC"
RULES = Rules({"reader", "writer"})


def records(text: str | bytes, form: Format = "jsonl") -> list[Record | Faulty]:
    data = text.encode() if isinstance(text, str) else text
    return list(ImportFile(io.BytesIO(data), form).records())


def user(**fields: object) -> NewUser | Faulty:
    return read(7, fields, RULES)


def reason(**fields: object) -> str:
    found = user(**fields)
    assert isinstance(found, Faulty)
    assert found.line == 7
    return found.reason


def made(**fields: object) -> NewUser:
    found = user(**fields)
    assert isinstance(found, NewUser), found
    return found


# --- JSON lines


def test_json_lines_are_numbered_with_their_empty_ones() -> None:
    assert records('\ufeff{"name": "a"}\n\n{"name": "b"}\r\n  \n{"name": "c"}') == [
        Record(1, {"name": "a"}),
        Record(3, {"name": "b"}),
        Record(5, {"name": "c"}),
    ]
    assert records("") == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"name", "this is not JSON"),
        (b'{"name": "a"', "this is not JSON"),
        (b'{"name": "a"} {"name": "b"}', "this is not JSON"),
        (b"[" * 60_000, "this is not JSON"),
        (b'{"n": ' + b"1" * 5000 + b"}", "this is not JSON"),
        (b'["a"]', "this is not a JSON object"),
        (b"null", "this is not a JSON object"),
        (b'{"name": "a", "name": "b"}', "a field stands there twice"),
        (b'{"password_hash": {"a": 1, "a": 2}}', "a field stands there twice"),
        (b'{"name": "\xff"}', "this is not UTF-8"),
        (b'{"name": "' + b"a" * 70_000 + b'"}', "a line has at most 65536 bytes"),
        (b"x" * 300_000, "a line has at most 65536 bytes"),
    ],
)
def test_a_malformed_line_is_told_and_spoils_no_other(line: bytes, says: str) -> None:
    found = records(b'{"name": "a"}\n' + line + b'\n{"name": "c"}\n')
    assert found == [Record(1, {"name": "a"}), Faulty(2, says), Record(3, {"name": "c"})]
    assert records(b'{"name": "a"}\n' + line) == found[:2]


# --- CSV


def test_csv_has_its_columns_in_any_order_and_the_types_of_json() -> None:
    text = (
        "\ufeffroles,name,email,active,email_verified,password_hash\r\n"
        f"reader writer,alice,alice@example.com,TRUE,false,{BCRYPT}\r\n"
        ",bob,,,,\r\n"
        '\r\n,"carol, ""c""",,maybe,,\r\n'
    )
    assert records(text, "csv") == [
        Record(
            2,
            {
                "name": "alice",
                "email": "alice@example.com",
                "active": True,
                "email_verified": False,
                "password_hash": BCRYPT,
                "roles": ["reader", "writer"],
            },
        ),
        Record(3, {"name": "bob"}),
        Record(5, {"name": 'carol, "c"', "active": "maybe"}),
    ]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "name,name",
        "name,is_admin",
        "Name",
        "active",
        "name;email",
        "name,",
        '"name',
        "name\0",
        b"\xff",
        b"n" * 70_000,
    ],
)
def test_a_csv_file_without_a_proper_header_is_none(header: str | bytes) -> None:
    text = header.encode() if isinstance(header, str) else header
    with pytest.raises(InvalidValue, match="line 1"):
        records(text + b"\nalice\n", "csv")


def test_a_malformed_csv_record_is_told_by_its_first_line_and_spoils_no_other() -> None:
    text = (
        b"name,email\n"
        b"alice\n"
        b"bob,b,b\n"
        b'"carol,\n"broken\n'
        b"\xff,x\n"
        b'"two\nlines",\n'
        b"dave,\n" + b"e" * 200_000 + b",\n"
        b"frank,\n"
    )
    found = records(text, "csv")
    assert [entry.line for entry in found] == [2, 3, 4, 6, 7, 9, 10, 11]
    assert [entry.fields["name"] for entry in found if isinstance(entry, Record)] == ["two\nlines", "dave", "frank"]
    assert [entry.reason for entry in found if isinstance(entry, Faulty)][:2] == [
        "1 cells where the first line names 2 columns",
        "3 cells where the first line names 2 columns",
    ]


def test_an_open_quote_does_not_swallow_the_file() -> None:
    lines = ['"never closed,', *(f"user{number}," for number in range(250)), "last,"]
    found = records("name,email\n" + "\n".join(lines) + "\n", "csv")
    assert any(isinstance(entry, Faulty) and "is a quote left open?" in entry.reason for entry in found)
    assert found[-1] == Record(253, {"name": "last"})


# --- any file


@given(st.binary(max_size=300), st.sampled_from(["jsonl", "csv"]))
def test_no_file_does_worse_than_to_be_faulty(data: bytes, form: Format) -> None:
    try:
        found = records(b"name,email\n" + data if form == "csv" else data, form)
    except InvalidValue:
        assert form == "csv"
        return
    for entry in found:
        if isinstance(entry, Record):
            assert isinstance(read(entry.line, entry.fields, RULES), NewUser | Faulty)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_the_digest_is_of_all_of_the_file(form: Format) -> None:
    def digest(text: str) -> bytes:
        reading = ImportFile(io.BytesIO(text.encode()), form)
        list(reading.records())
        assert reading.read == len(text)
        return reading.digest

    text = 'name\n{"name": "a"}\n' + "x" * 100_000
    assert digest(text) == digest(text)
    assert digest(text) != digest(text + "\n") != digest(text + " ")


def test_a_file_is_read_in_pieces() -> None:
    class Endless(io.RawIOBase):
        """A file that must not be read whole."""

        def __init__(self) -> None:
            self.given = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            assert size is not None
            assert 0 < size <= 64 * 1024
            self.given += 1
            return b'{"name": "a"}\n'

    source = Endless()
    found: Iterator[Any] = ImportFile(source, "jsonl").records()  # type: ignore[arg-type]
    for number in range(1, 1000):
        assert next(found) == Record(number, {"name": "a"})
        assert source.given == number


# --- fields


def test_a_user_has_the_keys_by_which_they_are_found() -> None:
    found = made(
        name="Alice", email="Alice@Example.com", email_verified=True, password_hash=BCRYPT, roles=["reader", "reader"]
    )
    assert (found.name, found.name_key) == ("Alice", "alice")
    assert (found.email, found.email_key, found.email_verified) == ("Alice@Example.com", "alice@example.com", True)
    assert found.hash is not None
    assert (found.hash.text, found.hash.scheme) == (BCRYPT, "bcrypt:4")
    assert (found.active, found.roles, found.line) == (True, ("reader",), 7)
    assert BCRYPT not in repr(found)


def test_a_user_needs_a_name_or_an_address_and_nothing_else() -> None:
    assert made(name="bob", email=None, roles=None, active=None, password_hash=None).hash is None
    by_mail = made(email="bob@example.com")
    assert (by_mail.name, by_mail.name_key, by_mail.email_key) == ("bob@example.com",) * 3
    by_name = made(name="Bob@example.com")
    assert (by_name.name, by_name.email, by_name.email_key) == ("Bob@example.com", "Bob@example.com", "bob@example.com")
    assert made(name="Bob@example.com", email="bob@EXAMPLE.com").email == "Bob@example.com"
    assert not made(name="bob", active=False).active


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "a user has a name, an email, or both"),
        ({"name": ""}, "a user has a name, an email, or both"),
        ({"name": "a b"}, "a user name has no spaces"),
        ({"name": "a\0"}, "control"),
        ({"name": "\ud800"}, "a user name"),
        ({"name": 5}, "name is text"),
        ({"name": ["a"]}, "name is text"),
        ({"name": "a", "email": "b"}, "an email address is"),
        ({"name": "a", "email": {}}, "email is text"),
        ({"name": "a@example.com", "email": "b@example.com"}, "has no other address"),
        ({"name": "a", "email_verified": True}, "a user without an address has none that is verified"),
        ({"name": "a", "email_verified": 1}, "email_verified is true or false"),
        ({"name": "a", "active": "yes"}, "active is true or false"),
        ({"name": "a", "roles": "reader"}, "roles is a list"),
        ({"name": "a", "roles": [1]}, "roles is a list"),
        ({"name": "a", "roles": ["reader"] * 101}, "roles is a list of at most 100"),
        ({"name": "a", "roles": ["reader", "admin"]}, "there is no role 'admin'"),
        ({"name": "a", "password_hash": "$2b$31$" + "u" * 53}, "bcrypt of cost 31 costs too much: at most 14"),
        ({"name": "a", "password_hash": ""}, "not a password hash"),
        ({"name": "a", "password_hash": "hunter2"}, "not a password hash"),
        ({"name": "a", "password_salt": "c2FsdA=="}, "belongs to a password_hash"),
        ({"name": "a", "password_hash": "AAAA", "password_salt": "c2FsdA=="}, "needs its project's"),
        ({"name": "a", "tenant_id": "b"}, "there is no field 'tenant_id'"),
        ({"name": "a", "is_admin": True}, "there is no field 'is_admin'"),
        ({"name": "a", "password": "hunter2"}, "there is no field 'password'"),
        ({"name": "a", "id": "b"}, "there is no field 'id'"),
    ],
)
def test_a_faulty_field_is_told_and_no_secret_with_it(fields: dict[str, Any], says: str) -> None:
    told = reason(**fields)
    assert says in told
    assert "hunter2" not in told


def test_what_comes_from_json_as_a_surrogate_is_refused() -> None:
    (record,) = records('{"name": "\\ud800"}')
    assert isinstance(record, Record)
    assert isinstance(read(1, record.fields, RULES), Faulty)
    json.dumps(reason(name="\ud800"))


# --- keys seen before


def test_a_key_is_found_on_the_line_on_which_it_stood_first() -> None:
    with SeenKeys() as seen:
        assert seen.line_of("name alice", 1) is None
        assert seen.line_of("email alice", 2) is None
        assert seen.line_of("name alice", 3) == 1
        assert seen.line_of("name alice", 4) == 1
    with SeenKeys() as another:
        assert another.line_of("name alice", 9) is None
