"""Places are read from the operator's own file, in either schema; what it does not know is nowhere."""

import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from gateway.place import Places
from gateway.settings import ConfigError

BERLIN = {
    "city": {"names": {"de": "Berlin", "en": "Berlin"}},
    "country": {"iso_code": "DE", "names": {"de": "Deutschland", "en": "Germany"}},
}
CITY = {
    "203.0.113.0/24": BERLIN,
    "198.51.100.0/24": {"country": {"names": {"en": "Germany"}}},
    "192.0.2.0/25": {"registered_country": {"names": {"en": "Iceland"}}},
    "192.0.2.128/25": {"city": {"names": {"de": "Köln"}}, "country": {"names": {"en": "Germany"}}},
    "2001:db8::/32": BERLIN,
}


def database(path: Path, records: Mapping[str, object], *, ip_version: int = 6) -> Path:
    """A file as MaxMind's, with these networks in it."""
    writer = MMDBWriter(ip_version, "GeoLite2-City", languages=["en", "de"], ipv4_compatible=ip_version == 6)
    for network, record in records.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(path))
    return path


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("203.0.113.7", "Berlin, Germany"),
        ("2001:db8::7", "Berlin, Germany"),
        ("198.51.100.7", "Germany"),
        ("192.0.2.7", "Iceland"),
        ("192.0.2.200", "Germany"),
        ("10.0.0.1", ""),
        ("127.0.0.1", ""),
        ("::1", ""),
        ("", ""),
        ("not an address", ""),
        ("203.0.113.7/24", ""),
    ],
)
def test_an_address_is_told_as_city_and_country(tmp_path: Path, address: str, place: str) -> None:
    assert Places(database(tmp_path / "city.mmdb", CITY)).of(address) == place


def test_without_a_file_no_place_is_known() -> None:
    assert Places(None).of("203.0.113.7") == ""


def test_a_file_of_ipv4_addresses_knows_no_ipv6_address(tmp_path: Path) -> None:
    places = Places(database(tmp_path / "old.mmdb", {"203.0.113.0/24": BERLIN}, ip_version=4))
    assert places.of("203.0.113.7") == "Berlin, Germany"
    assert places.of("2001:db8::7") == ""


@pytest.mark.parametrize(
    "record",
    [
        {"autonomous_system_organization": "Example"},
        {"city": "Berlin", "country": "DE"},
        {"city": {"names": "Berlin"}, "country": {"names": ["Germany"]}},
        {"city": {"names": {"en": 7}}, "country": {}},
        {},
        "Berlin",
        7,
    ],
)
def test_a_file_of_another_schema_has_no_places(tmp_path: Path, record: object) -> None:
    assert Places(database(tmp_path / "other.mmdb", {"203.0.113.0/24": record})).of("203.0.113.7") == ""


@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"city,country\n", b"\xab\xcd\xefMaxMind.com"])
def test_a_file_that_is_no_database_stops_the_start_with_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.mmdb"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        Places(path)
    (problem,) = refused.value.problems
    assert str(problem) == f"{path}: geoip_database: the file is no MaxMind database (mmdb)"


def test_a_missing_file_stops_the_start_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.mmdb: geoip_database: the file cannot be read"):
        Places(tmp_path / "missing.mmdb")


def test_a_folder_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"geoip_database: the file"):
        Places(tmp_path)


def test_a_file_that_is_damaged_further_in_costs_the_place_only(tmp_path: Path) -> None:
    path = database(tmp_path / "city.mmdb", CITY)
    whole = path.read_bytes()
    marker = whole.rindex(b"\xab\xcd\xefMaxMind.com")
    path.chmod(path.stat().st_mode | stat.S_IWUSR)
    path.write_bytes(b"\xff" * marker + whole[marker:])
    assert Places(path).of("203.0.113.7") == ""
