"""What the lines about a caller say, whatever stands in a token."""

from dataclasses import replace
from urllib.parse import unquote

import pytest

from gateway.proxy.identity import IdentityLines
from tests.gateway.proxy.harness import ALICE

SIGNS = [chr(code) for code in (*range(0x180), 0x2028, 0xFF1A, 0x1F600)]


@pytest.mark.parametrize("around", ["{}", "a{}b", "{}{}", "{}\n"])
def test_a_name_has_one_line_and_comes_back_as_it_was(around: str) -> None:
    for sign in SIGNS:
        subject = around.replace("{}", sign)
        lines = IdentityLines().of(replace(ALICE, subject=subject)).split(b"\r\n")
        [value] = [line.removeprefix(b"x-yett-subject: ") for line in lines if line.startswith(b"x-yett-subject")]
        assert len(lines) == 5
        assert all(0x21 <= byte <= 0x7E for byte in value)
        assert unquote(value.decode("ascii")) == subject


def test_what_is_visible_ascii_stays_as_it_is_but_for_the_sign_that_escapes() -> None:
    visible = "".join(chr(code) for code in range(0x21, 0x7F))
    lines = IdentityLines().of(replace(ALICE, subject=visible))
    assert f"x-yett-subject: {visible.replace('%', '%25')}\r\n".encode("ascii") in lines
