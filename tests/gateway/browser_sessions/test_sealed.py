"""What a browser carries is sealed for one tenant, host and purpose, and outlives a new master key."""

from uuid import UUID

import pytest

from gateway.browser import cookies
from gateway.browser.sealed import LoginState, Seals, SessionCookie
from tenants.sealing import MasterKey, MasterKeys

ACME, GLOBEX = UUID(int=1), UUID(int=2)
HOST = "app.example.com"
OLD, NEW = MasterKey("old", bytes(32)), MasterKey("new", bytes(range(32)))
NOW = 1_800_000_000
SESSION = SessionCookie(
    "5c9f7a0e-0000-4000-8000-000000000000", "site", ("openid", "orders:read"), ("https://a",), "wanted", 1, NOW
)
LOGIN = LoginState(
    "https://auth.example.com/t/acme", "site", "nonce", "verifier", "binding", "/x?y", NOW, "wanted", times=1
)


def test_what_was_sealed_is_opened() -> None:
    seals = Seals(MasterKeys([OLD]))
    assert seals.opened_session(seals.session(SESSION, tenant_id=ACME, host=HOST), tenant_id=ACME, host=HOST) == SESSION
    assert seals.opened_login(seals.login(LOGIN, tenant_id=ACME, host=HOST), tenant_id=ACME, host=HOST) == LOGIN


def test_nothing_of_it_can_be_read() -> None:
    value = Seals(MasterKeys([OLD])).session(SESSION, tenant_id=ACME, host=HOST)
    assert value != Seals(MasterKeys([OLD])).session(SESSION, tenant_id=ACME, host=HOST)
    assert b"site" not in value
    assert "verifier" not in repr(LOGIN)


def test_one_cannot_be_brought_as_the_other_or_elsewhere() -> None:
    seals = Seals(MasterKeys([OLD]))
    session = seals.session(SESSION, tenant_id=ACME, host=HOST)
    login = seals.login(LOGIN, tenant_id=ACME, host=HOST)
    assert seals.opened_session(login, tenant_id=ACME, host=HOST) is None
    assert seals.opened_login(session, tenant_id=ACME, host=HOST) is None
    assert seals.opened_session(session, tenant_id=GLOBEX, host=HOST) is None
    assert seals.opened_session(session, tenant_id=ACME, host="other.example.com") is None


@pytest.mark.parametrize("value", [b"", b"A", b"!!!!", b"A" * 3800, b"\xff\xfe", b"AQ", b"AQNvbGQ"])
def test_what_is_none_of_ours_is_nothing(value: bytes) -> None:
    assert Seals(MasterKeys([OLD])).opened_session(value, tenant_id=ACME, host=HOST) is None


def test_a_changed_byte_is_nothing() -> None:
    seals = Seals(MasterKeys([OLD]))
    value = seals.session(SESSION, tenant_id=ACME, host=HOST)
    for place in range(len(value) - 1):
        other = b"A" if value[place : place + 1] != b"A" else b"B"
        changed = value[:place] + other + value[place + 1 :]
        assert seals.opened_session(changed, tenant_id=ACME, host=HOST) is None


def test_a_cookie_outlives_a_new_master_key_and_not_the_removal_of_its_own() -> None:
    value = Seals(MasterKeys([OLD])).session(SESSION, tenant_id=ACME, host=HOST)
    assert Seals(MasterKeys([NEW, OLD])).opened_session(value, tenant_id=ACME, host=HOST) == SESSION
    assert Seals(MasterKeys([NEW])).opened_session(value, tenant_id=ACME, host=HOST) is None


def test_a_running_process_goes_on_with_its_cookies_under_another_ring() -> None:
    ring = MasterKeys([OLD])
    seals = Seals(ring)
    before = seals.session(SESSION, tenant_id=ACME, host=HOST)
    ring.take(MasterKeys([NEW, OLD]))
    after = seals.session(SESSION, tenant_id=ACME, host=HOST)
    assert [seals.opened_session(one, tenant_id=ACME, host=HOST) for one in (before, after)] == [SESSION, SESSION]
    ring.take(MasterKeys([NEW]))
    assert [seals.opened_session(one, tenant_id=ACME, host=HOST) for one in (before, after)] == [None, SESSION]


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([b"yett-acme-app=abc"], b"abc"),
        ([b"a=b; yett-acme-app=abc; c=d"], b"abc"),
        ([b"a=b", b"yett-acme-app=abc"], b"abc"),
        ([], None),
        ([b"yett-acme-app=abc; yett-acme-app=abc"], None),
        ([b"yett-acme-app=abc", b"yett-acme-app=def"], None),
        ([b"yett-acme-app="], None),
        ([b'yett-acme-app="abc"'], None),
        ([b"yett-acme-app=a+c"], None),
        ([b"\xa0yett-acme-app=abc"], None),
        ([b"yett-acme-app=" + b"a" * 3801], None),
    ],
)
def test_a_cookie_is_read_once_and_whole(headers: list[bytes], found: bytes | None) -> None:
    assert cookies.read(headers, cookies.name("acme", "app", secure=False)) == found


def test_a_cookies_name_is_bound_to_its_host_where_there_is_tls() -> None:
    assert cookies.name("acme", "app", secure=True) == b"__Host-yett-acme-app"
    assert cookies.name("acme", "app-login", secure=False) == b"yett-acme-app-login"


@pytest.mark.parametrize(
    ("headers", "secure", "found"),
    [
        ([b"a=b; yett-acme-app=x", b"yett-globex-app=y"], False, {"acme", "globex"}),
        ([b"__Host-yett-acme-app=x; yett-globex-app=y"], True, {"acme"}),
        ([b"__Host-yett-acme-app=x"], False, set()),
        ([b"yett-acme-app-login=x; yett-acme=y; yett-app=z; xyett-acme-app=a"], False, set()),
        ([b"yett-a-app-app=x"], False, {"a-app"}),
        ([], True, set()),
    ],
)
def test_cookies_say_whose_sessions_they_may_be(headers: list[bytes], secure: bool, found: set[str]) -> None:
    assert cookies.tenants(headers, secure=secure) == found
