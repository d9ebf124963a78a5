"""Which certificate a client is shown, what is refused at the start, and how files are replaced while it runs."""

import os
import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.server.certificates import CertificateProblem, Certificates, Pair, covers
from tests.gateway.server.pki import Authority, serial


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def shown(certificates: Certificates, name: str | None, client: ssl.SSLContext | None = None) -> ssl.SSLObject:
    """The client's side of a handshake in memory, with no regard to whether it likes what it sees."""
    if client is None:
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False
        client.verify_mode = ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=name)
    theirs = certificates.context.wrap_bio(to_server, to_client, server_side=True)
    done = [False, False]
    for _ in range(10):
        for index, side in enumerate((ours, theirs)):
            if not done[index]:
                try:
                    side.do_handshake()
                    done[index] = True
                except ssl.SSLWantReadError:
                    pass
    assert all(done)
    return ours


def test_the_name_asked_for_chooses(authority: Authority) -> None:
    certificates = Certificates(
        [
            authority.issue("a", "auth.example.com", serial=10),
            authority.issue("b", "api.example.com", "*.example.com", serial=11),
            authority.issue("c", "x.example.com", "192.0.2.1", serial=12),
        ]
    )
    asked = {
        "auth.example.com": 10,
        "API.example.com": 11,
        "other.example.com": 11,  # a wildcard
        "x.example.com": 12,  # an exact name before a wildcard, whichever stands first
        "a.b.example.com": 10,  # a wildcard stands for one label
        "example.com": 10,  # and not for none
        "nobody.test": 10,  # the default
    }
    assert {name: serial(shown(certificates, name)) for name in asked} == asked
    assert serial(shown(certificates, None)) == 10


def test_the_first_of_two_with_the_same_name_is_shown(authority: Authority) -> None:
    pairs = [authority.issue("a", "x.test", serial=10), authority.issue("b", "x.test", "y.test", serial=11)]
    assert serial(shown(Certificates(pairs), "x.test")) == 10


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_two_versions_with_sound_ciphers_and_http_1_1(authority: Authority, version: ssl.TLSVersion) -> None:
    certificates = Certificates([authority.issue("a", "x.test")])
    client = authority.client(alpn=("h2", "http/1.1"))
    client.minimum_version = client.maximum_version = version
    connection = shown(certificates, "x.test", client)
    cipher = connection.cipher()
    assert cipher is not None
    assert connection.version() == version.name.replace("_", ".")
    assert cipher[0].startswith(("ECDHE-", "TLS_"))
    assert "GCM" in cipher[0] or "CHACHA20" in cipher[0]
    assert connection.selected_alpn_protocol() == "http/1.1"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
@pytest.mark.parametrize("weakness", ["TLS 1.1", "CBC", "no forward secrecy"])
def test_what_is_weak_is_not_spoken(authority: Authority, weakness: str) -> None:
    certificates = Certificates([authority.issue("a", "x.test")])
    client = authority.client()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    if weakness == "TLS 1.1":
        client.minimum_version = client.maximum_version = ssl.TLSVersion.TLSv1_1
        client.set_ciphers("ALL:@SECLEVEL=0")
    else:
        client.set_ciphers("ECDHE+AES+SHA" if weakness == "CBC" else "AES128-GCM-SHA256")
    with pytest.raises(ssl.SSLError):
        shown(certificates, "x.test", client)


@pytest.mark.parametrize(
    ("name", "covered"),
    [
        ("a.test", True),
        ("x.b.test", True),
        ("b.test", False),
        ("x.y.b.test", False),
        ("aa.test", False),
        ("192.0.2.1", True),
        ("192.0.2.2", False),
        ("[2001:db8::1]", True),
    ],
)
def test_which_hosts_a_certificate_is_for(authority: Authority, name: str, *, covered: bool) -> None:
    certificates = Certificates([authority.issue("a", "A.test", "*.b.test", "192.0.2.1", "2001:db8::1")])
    assert certificates.covers(name) is covered


def test_a_wildcard_is_no_host_of_its_own() -> None:
    assert not covers({"*.b.test"}, "test")


def refused(*pairs: Pair) -> str:
    with pytest.raises(CertificateProblem) as raised:
        Certificates(pairs)
    return str(raised.value)


def test_a_key_of_another_certificate_stops_the_start(authority: Authority) -> None:
    first, second = authority.issue("a", "a.test"), authority.issue("b", "b.test")
    mixed = Pair(first.certificate, second.key)
    assert (
        refused(first, mixed) == f"The key in {second.key} does not belong to the certificate in {first.certificate}."
    )


def test_what_else_stops_the_start_is_told_with_its_file(authority: Authority, tmp_path: Path) -> None:
    good, nothing = authority.issue("a", "a.test"), tmp_path / "nothing"
    assert refused(Pair(nothing, good.key)) == f"{nothing} cannot be read: No such file or directory."
    assert refused(Pair(good.certificate, nothing)) == f"{nothing} cannot be read: No such file or directory."
    assert refused(Pair(good.key, good.key)).startswith(f"{good.key} is no certificate in PEM")
    assert f"{good.certificate} and {good.certificate} cannot be used" in refused(
        Pair(good.certificate, good.certificate)
    )
    locked = authority.issue("b", "b.test", passphrase=b"secret")
    assert refused(locked).startswith(f"The key in {locked.key} is encrypted")


def told(*pairs: Pair, clock: datetime | None = None) -> list[tuple[str, str]]:
    now = clock or datetime.now(UTC)
    with capture_logs() as logs:
        Certificates(pairs, clock=lambda: now)
    return [(entry["event"], entry["file"]) for entry in logs if entry["log_level"] == "warning"]


def test_an_expired_certificate_is_served_with_a_warning(authority: Authority) -> None:
    old = authority.issue("a", "a.test", begin=timedelta(days=-9), life=timedelta(days=8))
    soon = authority.issue("b", "b.test", life=timedelta(days=7))
    later = authority.issue("c", "c.test", begin=timedelta(days=1))
    assert told(old) == [("tls_certificate_expired", str(old.certificate))]
    assert told(soon) == [("tls_certificate_expires", str(soon.certificate))]
    assert told(later) == [("tls_certificate_not_yet_valid", str(later.certificate))]
    assert told(authority.issue("d", "d.test")) == []


async def test_a_certificate_that_runs_out_while_it_is_served_is_told_once(authority: Authority) -> None:
    now = [datetime.now(UTC)]
    certificates = Certificates([authority.issue("a", "a.test")], clock=lambda: now[0])
    with capture_logs() as logs:
        await certificates.watch()
        now[0] += timedelta(days=25)
        await certificates.watch()
        await certificates.watch()
    assert [entry["event"] for entry in logs] == ["tls_certificate_expires"]


def test_a_key_that_everybody_can_read_is_told(authority: Authority) -> None:
    pair = authority.issue("a", "a.test")
    pair.key.chmod(0o640)
    assert told(pair) == []
    pair.key.chmod(0o644)
    assert told(pair) == [("tls_key_open_to_all", str(pair.key))]


# Replacing them.


async def test_reload_shows_new_files(authority: Authority) -> None:
    certificates = Certificates([authority.issue("a", "a.test", serial=10)])
    authority.issue("a", "a.test", serial=11)
    assert serial(shown(certificates, "a.test")) == 10
    for _ in range(2):
        await certificates.watch()
    assert serial(shown(certificates, "a.test")) == 11


async def test_reload_takes_other_pairs(authority: Authority) -> None:
    certificates = Certificates([authority.issue("a", "a.test", serial=10)])
    certificates.prepared([authority.issue("b", "b.test", serial=11), authority.pair("a")])()
    assert serial(shown(certificates, "b.test")) == 11
    assert serial(shown(certificates, "a.test")) == 10
    assert serial(shown(certificates, "c.test")) == 11


async def test_a_broken_pair_leaves_the_old_one_and_is_told_as_an_error(authority: Authority) -> None:
    pair = authority.issue("a", "a.test", serial=10)
    certificates = Certificates([pair])
    authority.issue("b", "b.test")
    pair.key.write_bytes(authority.pair("b").key.read_bytes())
    with capture_logs() as logs:
        for _ in range(2):
            await certificates.watch()
    assert [(entry["log_level"], entry["event"]) for entry in logs] == [("error", "tls_certificate_refused")]
    assert "does not belong" in logs[0]["reason"]
    assert "PRIVATE" not in str(logs)
    assert serial(shown(certificates, "a.test")) == 10


async def test_other_pairs_that_are_refused_leave_those_of_before_and_they_are_watched(authority: Authority) -> None:
    certificates = Certificates([authority.issue("a", "a.test", serial=10)])
    with pytest.raises(CertificateProblem, match="nowhere cannot be read"):
        certificates.prepared([Pair(Path("nowhere"), Path("nowhere"))])
    authority.issue("a", "a.test", serial=11)
    await certificates.watch()
    await certificates.watch()
    assert serial(shown(certificates, "a.test")) == 11


async def test_what_has_changed_is_read_when_it_has_settled(authority: Authority) -> None:
    pair = authority.issue("a", "a.test", serial=10)
    certificates = Certificates([pair])
    before = pair.key.read_bytes()
    authority.issue("a", "a.test", serial=11)
    after = pair.key.read_bytes()
    pair.key.write_bytes(before)  # the certificate is new, its key is still on the way
    with capture_logs() as logs:
        await certificates.watch()
        pair.key.write_bytes(after)
        await certificates.watch()
        assert serial(shown(certificates, "a.test")) == 10
        await certificates.watch()
        await certificates.watch()
    assert serial(shown(certificates, "a.test")) == 11
    assert [entry["event"] for entry in logs] == ["tls_certificates_loaded"]


async def test_a_broken_pair_is_told_once_and_tried_again_when_it_changes(authority: Authority) -> None:
    pair = authority.issue("a", "a.test", serial=10)
    certificates = Certificates([pair])
    key = pair.key.read_bytes()
    pair.key.unlink()
    with capture_logs() as logs:
        for _ in range(5):
            await certificates.watch()
    assert [entry["event"] for entry in logs] == ["tls_certificate_refused"]
    pair.key.write_bytes(key)
    pair.key.chmod(0o600)
    with capture_logs() as logs:
        for _ in range(5):
            await certificates.watch()
    assert [entry["event"] for entry in logs] == ["tls_certificates_loaded"]


async def test_a_link_that_leads_elsewhere_is_a_change(authority: Authority, tmp_path: Path) -> None:
    """As an orchestrator mounts secrets: files are links through a folder that is itself a link, which is replaced."""
    for number in (10, 11):
        folder = tmp_path / f"v{number}"
        folder.mkdir()
        pair = authority.issue("a", "a.test", serial=number)
        pair.certificate.rename(folder / "tls.crt")
        pair.key.rename(folder / "tls.key")
    data = tmp_path / "data"
    data.symlink_to("v10")
    certificates = Certificates([Pair(data / "tls.crt", data / "tls.key")])
    (tmp_path / "next").symlink_to("v11")
    os.replace(tmp_path / "next", data)
    await certificates.watch()
    await certificates.watch()
    assert serial(shown(certificates, "a.test")) == 11


def test_another_list_is_read_at_once_and_served_when_it_is_taken(authority: Authority) -> None:
    certificates = Certificates([authority.issue("a", "a.example.com", serial=10)])
    take = certificates.prepared([authority.issue("b", "b.example.com", serial=11), authority.pair("a")])
    assert serial(shown(certificates, "b.example.com")) == 10
    take()
    assert [serial(shown(certificates, name)) for name in ("a.example.com", "b.example.com", None)] == [10, 11, 11]
    with pytest.raises(CertificateProblem, match=r"missing\.pem cannot be read"):
        certificates.prepared([authority.pair("missing")])
    assert serial(shown(certificates, None)) == 11


async def test_another_list_that_is_taken_while_a_changed_file_is_read_is_not_undone(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = Certificates([authority.issue("a", "a.test", serial=10)])
    take_other = certificates.prepared([authority.issue("b", "b.test", serial=20)])
    authority.issue("a", "a.test", serial=11)
    await certificates.watch()
    prepared = certificates.prepared

    def meanwhile(pairs: Sequence[Pair]) -> Callable[[], None]:
        take = prepared(pairs)
        take_other()
        return take

    monkeypatch.setattr(certificates, "prepared", meanwhile)
    await certificates.watch()
    assert serial(shown(certificates, "a.test")) == 20
