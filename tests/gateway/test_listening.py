"""What another configuration changes of listeners that are open: which certificates they show, and whom they count."""

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.cli.listening import Listening
from gateway.settings import ConfigError, Settings, from_mapping
from tests.gateway.server.pki import Authority, serial
from tests.gateway.server.test_certificates import shown


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def settings(*files: str, authority: Authority, **more: Any) -> Settings:
    pairs = [authority.pair(file) for file in files]
    listed = [{"certificate_file": str(pair.certificate), "key_file": str(pair.key)} for pair in pairs]
    values = {"public_url": "https://auth.example.com", "tls": {"certificates": listed}}
    return from_mapping({**values, "management_tls": {"certificates": listed}, **more}, source="test")


def test_another_list_of_certificates_is_shown_by_both_listeners(authority: Authority) -> None:
    authority.issue("a", "auth.example.com", serial=10)
    authority.issue("b", "api.example.com", serial=11)
    listening = Listening(settings("a", authority=authority), 10)
    tls = listening._public_tls, listening._management_tls
    take = listening.prepare(settings("b", "a", authority=authority))
    assert [serial(shown(one, "api.example.com")) for one in tls if one is not None] == [10, 10]
    take()
    assert [serial(shown(one, "api.example.com")) for one in tls if one is not None] == [11, 11]


def test_one_that_cannot_be_used_is_a_problem_and_changes_nothing(authority: Authority) -> None:
    authority.issue("a", "auth.example.com", serial=10)
    listening = Listening(settings("a", authority=authority), 10)
    with pytest.raises(ConfigError) as raised:
        listening.prepare(settings("a", "missing", authority=authority))
    (problem,) = raised.value.problems
    assert (problem.field, "missing.pem cannot be read" in problem.message) == ("tls.certificates", True)
    assert listening._public_tls is not None
    assert serial(shown(listening._public_tls, None)) == 10


def test_files_that_do_not_change_hold_up_nothing_else(authority: Authority) -> None:
    """They are looked at by themselves, and may be half-written at this moment."""
    pair = authority.issue("a", "auth.example.com")
    listening = Listening(settings("a", authority=authority), 10)
    pair.certificate.write_text("half")
    listening.prepare(settings("a", authority=authority, trusted_proxies=["10.0.0.0/8"]))()


def test_hosts_without_a_certificate_are_named_again(authority: Authority) -> None:
    authority.issue("a", "auth.example.com")
    listening = Listening(settings("a", authority=authority), 10)
    with capture_logs() as told:
        listening.prepare(settings("a", authority=authority, api_hosts=["api.example.com"]))()
    assert [(line["event"], line["host"]) for line in told] == [("tls_name_not_covered", "api.example.com")]


def test_proxies_that_are_trusted_from_now_on_are_not_counted(authority: Authority) -> None:
    authority.issue("a", "auth.example.com")
    one = {"listen_limits": {"connections_per_address": 1}}
    listening = Listening(settings("a", authority=authority, **one), 10)
    rooms = listening._public.room, listening._management.room
    assert [room.enter("10.0.0.1", 0) for room in rooms] == [True, True]
    assert [room.enter("10.0.0.1", 1) for room in rooms] == [False, False]
    listening.prepare(settings("a", authority=authority, trusted_proxies=["10.0.0.0/8"], **one))()
    assert [room.enter("10.0.0.1", 1) for room in rooms] == [True, True]
