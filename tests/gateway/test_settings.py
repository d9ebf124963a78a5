"""Settings from a file and an environment: what wins, what is secret, what the routes become."""

import re
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from gateway.settings import (
    ConfigError,
    ForwardAuth,
    Hashing,
    HostPort,
    HostSet,
    Limits,
    ListenLimits,
    Log,
    Requirement,
    Route,
    Settings,
    Upstream,
    compile_routes,
    from_mapping,
    load,
)
from gateway.settings.listening import ListenTls
from gateway.settings.upstream import Health, Target, Tls
from policies import rule
from policies.route import Matched

MINIMAL = {"YETT_PUBLIC_URL": "https://auth.example.com"}
FILE = """
public_url: https://auth.example.com
api_hosts: [api.example.com]
trusted_proxies: [10.0.0.0/8]
upstreams:
  orders: {targets: [http://orders-1:8000, http://orders-2], audience: "https://api.example.com/orders"}
routes:
  - {name: read, match: {path: /orders/**, methods: [GET]}, require: {scopes: [orders:read]}, upstream: orders}
  - name: write
    match: {path: /orders/**, methods: [POST]}
    tenants: [acme]
    require: {all: [{scopes: [orders:write]}, {amr: [otp]}, {max_age: 15m}]}
    upstream: orders
    authorization: forward
    audit: allow
  - {name: file, match: {path: "/files/{key}"}, require: {any: [{client: [app]}, {not: {source_ip: [10.0.0.0/8]}}]},
     upstream: orders, encoded_slash: keep}
  - name: plan
    match: {path: /plan, hosts: [api.example.com]}
    require: {all: [{claims: {plan: gold}}, {acr: urn:yett:acr:mfa}]}
    upstream: orders
  - {name: health, match: {path: /healthz}, require: anonymous, upstream: orders}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "yett.yaml"
    path.write_text(text)
    return path


def problems(environ: dict[str, str], path: Path | None = None) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load(path, environ)
    return [str(problem) for problem in raised.value.problems]


def test_public_url_is_the_only_setting_without_a_default() -> None:
    settings = load(None, MINIMAL)

    assert settings.listen == HostPort("127.0.0.1", 8080)
    assert settings.management_listen == HostPort("127.0.0.1", 8081)
    assert settings.database_url.get_secret_value() == "sqlite:///.yett/yett.db"
    assert settings.master_key_file == Path(".yett/master.key")
    assert settings.revocation_staleness == timedelta(seconds=60)
    assert settings.hashing.memory == 19 * 1024 * 1024
    assert problems({}) == ["environment: public_url: is required"]


def test_the_url_that_an_older_version_wanted_still_works() -> None:
    settings = load(None, MINIMAL | {"YETT_DATABASE_URL": "sqlite+aiosqlite:////var/lib/yett.db"})

    assert settings.database_url.get_secret_value() == "sqlite:////var/lib/yett.db"


def test_the_data_folder_moves_database_and_master_key() -> None:
    settings = load(None, MINIMAL | {"YETT_DATA": "/var/lib/yett"})

    assert settings.database_url.get_secret_value() == "sqlite:////var/lib/yett/yett.db"
    assert settings.master_key_file == Path("/var/lib/yett/master.key")


def test_the_environment_wins_over_the_file_key_by_key(tmp_path: Path) -> None:
    path = write(tmp_path, "public_url: https://a.example\nlog: {level: error, format: console}\ndrain: 5s\n")

    settings = load(path, {"YETT_PUBLIC_URL": "https://b.example", "YETT_LOG__LEVEL": "debug"})

    assert settings.public_url == "https://b.example"
    assert (settings.log.level, settings.log.format) == ("debug", "console")
    assert settings.drain == timedelta(seconds=5)


def test_lists_in_the_environment_are_json_or_separated_by_commas() -> None:
    commas = load(None, MINIMAL | {"YETT_TRUSTED_PROXIES": "10.0.0.0/8, ::1"})
    json = load(None, MINIMAL | {"YETT_TRUSTED_PROXIES": '["10.0.0.0/8", "::1"]'})

    assert commas.trusted_proxies == json.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1"))


def test_numbers_and_flags_in_the_environment_are_read_from_text() -> None:
    settings = load(None, MINIMAL | {"YETT_HASHING__HELPERS": "3", "YETT_UNSAFE_SHARED_ORIGIN": "true"})

    assert settings.hashing.helpers == 3
    assert settings.unsafe_shared_origin is True
    assert problems(MINIMAL | {"YETT_UNSAFE_SHARED_ORIGIN": "1", "YETT_HASHING__QUEUE": "-1"}) == [
        "environment: YETT_HASHING__QUEUE: must be a whole number",
        "environment: YETT_UNSAFE_SHARED_ORIGIN: must be true or false",
    ]


def test_an_upstream_may_come_from_the_environment() -> None:
    environ = {"YETT_UPSTREAMS__ORDERS__TARGETS": "http://a:1,http://b:2", "YETT_UPSTREAMS__ORDERS__AUDIENCE": "urn:o"}

    assert urls(load(None, MINIMAL | environ).upstreams["orders"]) == ["http://a:1", "http://b:2"]

    written = '[{"url": "https://a", "weight": 3}, "https://b:8443"]'
    upstream = load(None, MINIMAL | environ | {"YETT_UPSTREAMS__ORDERS__TARGETS": written}).upstreams["orders"]
    assert urls(upstream) == ["https://a:443", "https://b:8443"]
    assert [target.weight for target in upstream.targets] == [3, 1]

    short = load(None, MINIMAL | environ | {"YETT_UPSTREAMS__ORDERS__HEALTH": "/healthz"})
    assert short.upstreams["orders"].health == Health(path="/healthz")


def urls(upstream: Upstream) -> list[str]:
    return [str(target.url) for target in upstream.targets]


def test_an_empty_variable_counts_as_unset() -> None:
    assert load(None, MINIMAL | {"YETT_LISTEN": "", "YETT_DATABASE_URL": ""}).listen.port == 8080


def test_an_unknown_variable_is_a_problem_and_a_service_link_is_none() -> None:
    links = {"YETT_PORT": "tcp://10.0.0.1:80", "YETT_SERVICE_HOST": "10.0.0.1", "YETT_PORT_80_TCP_ADDR": "10.0.0.1"}
    others = {"YETT_MANAGEMENT_SERVICE_PORT_HTTP": "80", "YETT_TEST_DATABASE_URL": "x", "YETT_CONFIG": "x", "HOME": "/"}

    assert load(None, MINIMAL | links | others).listen.port == 8080
    assert problems(MINIMAL | {"YETT_LISTN": "x", "YETT_LOG__LEVLE": "info", "YETT_LISTEN_PORT": "80"}) == [
        "environment: YETT_LISTEN_PORT: is no setting of this release",
        "environment: YETT_LISTN: is no setting of this release",
        "environment: YETT_LOG__LEVLE: is not known; is level meant?",
    ]


def test_problems_of_file_and_environment_are_reported_together(tmp_path: Path) -> None:
    path = write(tmp_path, "public_url: ftp://a\nlisten: 1\n")

    assert problems({"YETT_DRAIN": "soon", "YETT_HASHING": '{"memory": "1MiB"}'}, path) == [
        f"{path}:1: public_url: must be http(s)://HOST[:PORT]",
        f"{path}:2: listen: must be HOST:PORT, as in 127.0.0.1:8080",
        "environment: YETT_DRAIN: must be a duration: a whole number and ms, s, m, h or d, as in 30s",
        "environment: YETT_HASHING (memory): must be between 7MiB and 4GiB",
    ]


def test_an_unreadable_file_hides_no_problem_of_the_environment(tmp_path: Path) -> None:
    path = write(tmp_path, "a: [")

    assert len(problems({"YETT_LISTN": "x"}, path)) == 2


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "database"
    secret.write_text("postgresql://yett_app:hunter2@db/yett\n")
    environ = MINIMAL | {"YETT_DATABASE_SYSTEM_URL": "postgresql+psycopg://yett_system:hunter3@db/yett"}

    settings = load(None, environ | {"YETT_DATABASE_URL_FILE": str(secret)})

    assert settings.database_url.get_secret_value() == "postgresql+psycopg://yett_app:hunter2@db/yett"
    assert settings.on_postgresql


def test_a_secret_file_that_is_missing_empty_or_beside_its_value_is_a_problem(tmp_path: Path) -> None:
    empty, binary = tmp_path / "empty", tmp_path / "binary"
    empty.write_text("\n")
    binary.write_bytes(b"\xff\xfe")

    def told(environ: dict[str, str]) -> str:
        (problem,) = problems(MINIMAL | environ)
        return problem

    assert "cannot be read" in told({"YETT_DATABASE_URL_FILE": str(tmp_path / "none")})
    assert "is empty" in told({"YETT_DATABASE_URL_FILE": str(empty)})
    assert "is not UTF-8" in told({"YETT_DATABASE_URL_FILE": str(binary)})
    empty.write_text("sqlite:////tmp/x.db")
    assert "is set beside YETT_DATABASE_URL" in told(
        {"YETT_DATABASE_URL_FILE": str(empty), "YETT_DATABASE_URL": "sqlite:////tmp/y.db"}
    )
    assert "is set beside YETT_DATA_DIR" in told({"YETT_DATA": "a", "YETT_DATA_DIR": "b"})


def test_a_secret_is_in_no_representation() -> None:
    environ = MINIMAL | {
        "YETT_DATABASE_URL": "postgresql://yett_app:hunter2@db/yett",
        "YETT_DATABASE_SYSTEM_URL": "postgresql://yett_system:hunter2@db/yett",
        "YETT_DATABASE_OWNER_URL": "postgresql://yett_owner:hunter2@db/yett",
        "YETT_DATABASE_ADMIN_URL": "postgresql://postgres:hunter2@db/yett",
    }
    settings = load(None, environ)

    assert "hunter2" not in repr(settings) + str(settings) + settings.model_dump_json()


def test_settings_are_frozen(tmp_path: Path) -> None:
    settings = load(write(tmp_path, FILE), {})

    with pytest.raises(ValidationError):
        settings.public_url = "https://other.example"
    with pytest.raises(ValidationError):
        settings.routes[0].require = "anonymous"


def test_the_process_environment_is_never_read_behind_the_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YETT_LISTEN", "0.0.0.0:1")
    monkeypatch.setenv("YETT_PUBLIC_URL", "https://other.example")

    settings = load(None, MINIMAL)

    assert (settings.public_url, settings.listen.port) == ("https://auth.example.com", 8080)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("HTTPS://Auth.Example.COM:443/", "https://auth.example.com"),
        ("https://auth.example.com:8443", "https://auth.example.com:8443"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://[0:0::1]:8080/", "http://[::1]:8080"),
    ],
)
def test_public_url_is_normalised_and_loopback_may_be_plain_http(written: str, meant: str) -> None:
    assert load(None, {"YETT_PUBLIC_URL": written}).public_url == meant


def test_plain_http_elsewhere_needs_its_unsafe_word() -> None:
    environ = {"YETT_PUBLIC_URL": "http://auth.internal"}

    assert "unsafe_plain_http" in problems(environ)[0]
    assert load(None, environ | {"YETT_UNSAFE_PLAIN_HTTP": "true"}).public_url == "http://auth.internal"


def test_two_hosts_of_one_listener_are_two_origins() -> None:
    demo = {"public_url": "http://localhost:8080", "api_hosts": ["127.0.0.1:8080"]}

    assert from_mapping(demo, source="the demo").api_hosts == (HostPort("127.0.0.1", 8080),)
    with pytest.raises(ConfigError, match=r"the demo: api_hosts\[0\]: is the host of public_url"):
        from_mapping(demo | {"api_hosts": ["localhost:8080"]}, source="the demo")
    shared = demo | {"api_hosts": ["localhost:8080"], "unsafe_shared_origin": True}
    assert from_mapping(shared, source="the demo").unsafe_shared_origin


def test_every_part_of_a_route_is_compiled(tmp_path: Path) -> None:
    read, written, file, plan, health = compile_routes(load(write(tmp_path, FILE), {})).routes

    assert read.rule == rule.Scopes(frozenset({"orders:read"}))
    assert (read.tenants, read.methods, read.hosts) == (None, frozenset({"GET"}), ("*",))
    assert (read.encoded_slash, read.pass_authorization, read.audit_allow) == (False, False, False)
    assert written.rule == rule.All(
        (rule.Scopes(frozenset({"orders:write"})), rule.Amr(frozenset({"otp"})), rule.MaxAge(900))
    )
    assert (written.tenants, written.hosts) == (frozenset({"acme"}), ("*",))
    assert (written.pass_authorization, written.audit_allow) == (True, True)
    assert file.rule == rule.Any(
        (rule.ClientIs(frozenset({"app"})), rule.Not(rule.SourceIp((ip_network("10.0.0.0/8"),))))
    )
    assert file.encoded_slash
    assert plan.hosts == ("api.example.com",)
    assert plan.rule == rule.All((rule.Claims((("plan", "gold"),)), rule.Acr("urn:yett:acr:mfa")))
    assert (plan.api_keys, file.api_keys) == (False, False)
    assert health.rule == rule.Anonymous()


def test_a_route_takes_api_keys_only_where_it_says_so(tmp_path: Path) -> None:
    allowed = FILE.replace("require: {scopes: [orders:read]}", "require: {scopes: [orders:read]}, api_keys: allow")
    refused = FILE.replace("require: {scopes: [orders:read]}", "require: {scopes: [orders:read]}, api_keys: refuse")

    assert [route.api_keys for route in compile_routes(load(write(tmp_path, allowed), {})).routes][:2] == [True, False]
    assert not any(route.api_keys for route in compile_routes(load(write(tmp_path, refused), {})).routes)
    assert load(write(tmp_path, refused), {}).digest == load(write(tmp_path, FILE), {}).digest
    assert load(write(tmp_path, allowed), {}).digest != load(write(tmp_path, FILE), {}).digest


def test_the_compiled_table_matches(tmp_path: Path) -> None:
    table = compile_routes(load(write(tmp_path, FILE), {}))

    match table.match("api.example.com", "GET", b"/orders/7", "acme"):
        case Matched(route):
            assert route.name == "read"
        case other:
            pytest.fail(str(other))


def test_a_claims_type_is_kept() -> None:
    document = {
        "public_url": "https://auth.example.com",
        "api_hosts": ["api.example.com"],
        "upstreams": {"u": {"targets": ["http://u"], "audience": "urn:u"}},
        "routes": [
            {"name": "r", "match": {"path": "/"}, "require": {"claims": {"a": True, "b": 1, "c": "1"}}, "upstream": "u"}
        ],
    }

    (route,) = compile_routes(from_mapping(document, source="test")).routes

    assert isinstance(route.rule, rule.Claims)
    assert [(name, type(value)) for name, value in route.rule.required] == [("a", bool), ("b", int), ("c", str)]


def test_an_upstream_has_addresses_and_default_times(tmp_path: Path) -> None:
    upstream = load(write(tmp_path, FILE), {}).upstreams["orders"]

    assert urls(upstream) == ["http://orders-1:8000", "http://orders-2:80"]
    assert (upstream.connect_timeout, upstream.read_timeout) == (timedelta(seconds=2), timedelta(seconds=30))
    assert upstream.total_timeout is None


def test_the_digest_is_of_values_and_not_of_how_they_are_written(tmp_path: Path) -> None:
    def digest(text: str) -> str:
        return load(write(tmp_path, text), {}).digest

    first = digest(FILE)
    lines = FILE.splitlines(keepends=True)
    health = next(line for line in lines if "name: health" in line)
    reordered = [line for line in lines if line != health]
    reordered.insert(reordered.index("routes:\n") + 1, health)

    assert len(first) == 64
    assert digest("".join(reordered)) == first
    assert digest(FILE.replace("15m", "900s")) == first
    assert digest(FILE.replace("audience", "connect_timeout: 2000ms, audience")) == first
    assert digest(FILE + "log: {level: debug}\n") == first
    assert digest(FILE.replace("15m", "16m")) != first
    assert digest(FILE.replace("orders-2", "orders-3")) != first
    assert digest(FILE.replace("require: anonymous", "require: {scopes: [health]}")) != first
    assert digest(FILE.replace("tenants: [acme]", "tenants: [globex]")) != first


def test_a_host_is_found_with_its_port_first_and_on_any_port_where_none_is_given() -> None:
    hosts = HostSet.of([HostPort("api.example.com"), HostPort("127.0.0.1", 8080), HostPort("[::1]")])

    assert hosts.find("api.example.com") == hosts.find("api.example.com:8443") == "api.example.com"
    assert hosts.find("127.0.0.1:8080") == "127.0.0.1:8080"
    assert hosts.find("[::1]:80") == "[::1]"
    assert [hosts.find(host) for host in ("127.0.0.1", "localhost:8080", "api.example.com:x", "", ":", "[::2]:80")] == [
        None
    ] * 6


def test_management_answers_to_loopback_its_own_address_and_what_is_configured() -> None:
    environ = {"YETT_MANAGEMENT_LISTEN": "10.1.2.3:8081", "YETT_MANAGEMENT_HOSTS": "yett.internal:8081"}
    hosts = load(None, MINIMAL | environ).management_host_set()

    assert all(
        hosts.find(h) for h in ("localhost:8081", "127.0.0.1", "[::1]:8081", "10.1.2.3:8081", "yett.internal:8081")
    )
    assert hosts.find("evil.example:8081") is None
    assert hosts.find("yett.internal") is None


def test_fields_of_the_class_cannot_be_set_without_being_checked() -> None:
    with pytest.raises(ValidationError):
        Settings(public_url="https://auth.example.com", drian="5s")  # type: ignore[call-arg]


def test_every_setting_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    sections = (
        Settings,
        ForwardAuth,
        Hashing,
        Limits,
        ListenLimits,
        ListenTls,
        Log,
        Upstream,
        Target,
        Health,
        Tls,
        Route,
    )
    names = {name for section in sections for name in section.model_fields} - {"hashing", "limits", "log", "match"}

    assert [name for name in sorted(names) if f"| `{name}` |" not in page and f"## `{name}`" not in page] == []
    requirements = {field.alias or name for name, field in Requirement.model_fields.items()}
    assert [name for name in sorted(requirements) if f"`{name}`" not in page] == []


def test_a_route_for_forward_auth_alone_has_an_audience_of_its_own() -> None:
    settings = from_mapping(
        {
            "public_url": "https://auth.example.com",
            "api_hosts": ["api.example.com"],
            "forward_auth": {"listen": "127.0.0.1:8082", "peers": ["10.0.0.7", "10.1.0.0/16"]},
            "routes": [
                {
                    "name": "a",
                    "match": {"path": "/a"},
                    "require": {"scopes": ["a"]},
                    "audience": "https://api.example.com/a",
                },
                {"name": "b", "match": {"path": "/b"}, "require": "anonymous"},
            ],
        },
        source="test",
    )
    assert settings.forward_auth.listen == HostPort("127.0.0.1", 8082)
    assert [str(network) for network in settings.forward_auth.peers] == ["10.0.0.7/32", "10.1.0.0/16"]
    routes = {route.name: route for route in compile_routes(settings).routes}
    assert (routes["a"].upstream, routes["a"].audience) == ("", "https://api.example.com/a")
    assert (routes["b"].upstream, routes["b"].audience) == ("", None)


def test_the_documented_example_of_forward_auth_is_valid(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "forward-auth.md").read_text()
    first, *others = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)

    assert len(load(write(tmp_path, f"public_url: https://auth.example.com\n{first}"), {}).routes) == 3
    assert [type(yaml.safe_load(other)) for other in others] == [dict] * 2


def test_the_documented_example_is_valid(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    example = page.split("```yaml\n")[1].split("```")[0]

    assert len(load(write(tmp_path, example), {}).routes) == 3
