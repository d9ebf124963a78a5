"""What the file says of an upstream is what its pool goes by."""

from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from gateway.proxy.configured import pool_jobs, running_pools, upstream_of, upstreams_of
from gateway.proxy.upstream import Health, Target, Upstream
from gateway.settings import ConfigError, from_mapping
from gateway.settings import Upstream as Configured
from tests.gateway.mail.certificate import make

EVERYTHING = {
    "targets": [{"url": "https://orders-1", "weight": 3, "max_in_flight": 7}, "https://[2001:db8::1]:8443/"],
    "audience": "urn:orders",
    "balance": "hash-subject",
    "health": {"path": "/up", "host": "a.b", "interval": "7s", "timeout": "1s", "failures": 4, "successes": 5},
    "connect_timeout": "1s",
    "read_timeout": "11s",
    "first_byte_timeout": "12s",
    "idle_timeout": "13s",
    "total_timeout": "14s",
    "upload_timeout": "15s",
    "max_in_flight": 99,
    "max_connections": 98,
    "networks": ["10.0.0.0/8", "2001:db8::/32"],
    "resolve_every": "16s",
    "tls": {"server_name": "orders.internal"},
}


def configured(upstream: dict[str, object]) -> Configured:
    document = {"public_url": "https://auth.example.com", "upstreams": {"orders": upstream}}
    return from_mapping(document, source="test").upstreams["orders"]


def seconds(number: int) -> timedelta:
    return timedelta(seconds=number)


def test_every_setting_reaches_the_upstream() -> None:
    made = upstream_of("orders", configured(EVERYTHING), {})
    assert made == Upstream(
        name="orders",
        targets=(
            Target("orders-1", 443, tls=True, weight=3, max_in_flight=7),
            Target("2001:db8::1", 8443, tls=True),
        ),
        audience="urn:orders",
        connect_timeout=seconds(1),
        read_timeout=seconds(11),
        first_byte_timeout=seconds(12),
        idle_timeout=seconds(13),
        total_timeout=seconds(14),
        upload_timeout=seconds(15),
        max_in_flight=99,
        max_connections=98,
        balance="hash-subject",
        health=Health("/up", "a.b", seconds(7), seconds(1), 4, 5),
        networks=(ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")),
        resolve_every=seconds(16),
        tls=made.tls,
        server_name="orders.internal",
    )
    assert set(EVERYTHING) == set(Configured.model_fields)


def test_what_is_not_said_is_the_proxy_s_own_default() -> None:
    made = upstream_of("orders", configured({"targets": ["http://orders"], "audience": "urn:orders"}), {})
    assert made == Upstream("orders", (Target("orders", 80),), "urn:orders")
    health = upstream_of("o", configured({"targets": ["http://o"], "audience": "urn:o", "health": "/up"}), {}).health
    assert health == Health("/up")


def test_files_are_read_when_the_settings_are(tmp_path: Path) -> None:
    own = make(tmp_path)
    tls = {"ca_file": str(own.certificate), "certificate_file": str(own.certificate), "key_file": str(own.key)}
    read = configured({"targets": ["https://o"], "audience": "urn:o", "tls": tls})
    context = upstream_of("o", read, {}).tls
    assert context is not None
    assert len(context.get_ca_certs()) == 1


async def test_pools_are_there_by_name_with_their_jobs_and_are_closed() -> None:
    upstreams = {
        "a": {"targets": ["http://127.0.0.1:1"], "audience": "urn:a", "health": "/"},
        "b": {"targets": ["http://localhost:1"], "audience": "urn:b"},
    }
    settings = from_mapping({"public_url": "https://auth.example.com", "upstreams": upstreams}, source="test")
    async with running_pools(settings) as running:
        pools = running.current
        assert sorted(pools) == ["a", "b"]
        assert [job.name for job in pool_jobs(pools.values())] == ["health of a", "names of b"]
        await pool_jobs(pools.values())[1].run()
        assert "127.0.0.1" in [endpoint.address for endpoint in pools["b"].endpoints.all]
    assert [endpoint.keeps for pool in pools.values() for endpoint in pool.endpoints.all if endpoint.keeps] == []


def test_an_upstream_with_tls_is_the_same_until_its_files_change(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    own, other = make(tmp_path), make(tmp_path / "other")
    upstream = {"targets": ["https://10.0.0.1"], "audience": "urn:a", "tls": {"ca_file": str(own.certificate)}}
    before = upstream_of("a", configured(upstream), {})
    assert upstream_of("a", configured(upstream), {}) == before
    other.certificate.replace(own.certificate)
    assert upstream_of("a", configured(upstream), {}) != before


def test_upstreams_that_are_known_by_the_same_files_share_what_was_made_of_them(tmp_path: Path) -> None:
    """A context of the system's authorities takes tens of milliseconds, and a MiB."""
    (tmp_path / "other").mkdir()
    one, two = ({"ca_file": str(make(folder).certificate)} for folder in (tmp_path, tmp_path / "other"))
    tls = {"a": {}, "b": {"tls": {"server_name": "b.test"}}, "c": {"tls": one}, "d": {"tls": one}, "e": {"tls": two}}
    upstreams = {name: {"targets": ["https://10.0.0.1"], "audience": "urn:a", **more} for name, more in tls.items()} | {
        "plain": {"targets": ["http://10.0.0.1"], "audience": "urn:a"}
    }
    settings = from_mapping({"public_url": "https://auth.example.com", "upstreams": upstreams}, source="test")
    made = {upstream.name: upstream.tls for upstream in upstreams_of(settings)}
    assert made["plain"] is None
    assert made["a"] is made["b"]
    assert made["c"] is made["d"]
    assert len({id(context) for context in made.values()}) == 4


def test_a_file_that_went_after_the_settings_were_read_is_a_problem_of_the_configuration(tmp_path: Path) -> None:
    ca = make(tmp_path).certificate
    upstream = {"targets": ["https://10.0.0.1"], "audience": "urn:a", "tls": {"ca_file": str(ca)}}
    values = {"public_url": "https://auth.example.com", "upstreams": {"a": upstream}}
    settings = from_mapping(values, source="test")
    ca.unlink()
    with pytest.raises(ConfigError) as raised:
        upstreams_of(settings)
    assert [problem.field for problem in raised.value.problems] == ["upstreams.a.tls.ca_file"]
