"""What must fit together: one table of checks over values that each stand for themselves already."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from gateway.settings.addresses import DEFAULT_PORTS, HostPort
from gateway.settings.model import Settings
from gateway.settings.problem import Path
from gateway.settings.routing import ANY_TENANT, Route
from gateway.settings.web_address import WebAddress, may_reach

Finding = tuple[Path, str]

# OWASP's weakest recommended Argon2id settings: 46 MiB x 1, 19 x 2, 12 x 3, 9 x 4, 7 x 5 passes.
_LEAST_WORK = 35 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Facts:
    """What could be read. A field in ``refused`` has a problem already and some other value in ``settings``.

    ``routes`` are those that could be read, with their positions in the file; ``upstreams`` are all names written.
    """

    settings: Settings
    routes: tuple[tuple[int, Route], ...]
    upstreams: frozenset[str]
    refused: frozenset[str]

    def knows(self, *fields: str) -> bool:
        return self.refused.isdisjoint(fields)


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine is there."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def plain_http_stays_at_home(facts: Facts) -> Iterator[Finding]:
    settings = facts.settings
    parts = urlsplit(settings.public_url)
    if parts.scheme == "http" and not is_loopback(HostPort.parse(parts.netloc).host) and not settings.unsafe_plain_http:
        yield (
            ("public_url",),
            "must be https:// (passwords and tokens travel here); on a network that nobody else can read, say "
            "`unsafe_plain_http: true`",
        )


def identity_and_apis_share_no_host(facts: Facts) -> Iterator[Finding]:
    settings = facts.settings
    if settings.unsafe_shared_origin:
        return
    parts = urlsplit(settings.public_url)
    identity = HostPort.parse(parts.netloc)
    port = identity.port or DEFAULT_PORTS[parts.scheme]
    for position, entry in enumerate(settings.api_hosts):
        if entry.host == identity.host and entry.port in (None, port):
            yield (
                ("api_hosts", position),
                "is the host of public_url: a page of an API would be same-origin with the login page; "
                "use another host",
            )


def api_hosts_are_named_once(facts: Facts) -> Iterator[Finding]:
    seen: set[HostPort] = set()
    for position, entry in enumerate(facts.settings.api_hosts):
        if entry in seen:
            yield ("api_hosts", position), f"{entry} stands here a second time"
        seen.add(entry)


def routes_have_hosts(facts: Facts) -> Iterator[Finding]:
    if facts.routes and not facts.settings.api_hosts:
        yield ("routes",), "no request can reach a route: name the hosts of your APIs in `api_hosts`"
        return
    for index, route in facts.routes:
        for position, host in enumerate(route.match.hosts or ()):
            if host not in facts.settings.api_hosts:
                yield ("routes", index, "match", "hosts", position), f"{host} does not stand in `api_hosts`"


def route_names_are_unique(facts: Facts) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for index, route in facts.routes:
        if route.name in first:
            yield ("routes", index, "name"), f"{route.name} is already the name of routes[{first[route.name]}]"
        first.setdefault(route.name, index)


def cookies_go_to_listed_pages_only(facts: Facts) -> Iterator[Finding]:
    if facts.settings.cors.credentials and facts.settings.cors.client_origins:
        yield (
            ("cors", "credentials"),
            "cannot be with `client_origins`: tenants would say whose pages are sent an API's cookies",
        )


def tenants_are_named_once(facts: Facts) -> Iterator[Finding]:
    for index, route in facts.routes:
        if ANY_TENANT in route.tenants and len(route.tenants) > 1:
            yield ("routes", index, "tenants"), '"*" already means every tenant; name tenants or "*", not both'
        elif len(set(route.tenants)) < len(route.tenants):
            yield ("routes", index, "tenants"), "names a tenant twice"


def anonymous_routes_have_no_tenant(facts: Facts) -> Iterator[Finding]:
    for index, route in facts.routes:
        if route.require == "anonymous" and ANY_TENANT not in route.tenants:
            yield (
                ("routes", index, "tenants"),
                "an anonymous request has no tenant; drop `tenants` or require something",
            )


def anonymous_routes_have_no_identity(facts: Facts) -> Iterator[Finding]:
    for index, route in facts.routes:
        if route.require == "anonymous" and "identity" in route.model_fields_set:
            yield ("routes", index, "identity"), "has no effect: an anonymous request is nobody's"


def handshakes_are_gets(facts: Facts) -> Iterator[Finding]:
    for index, route in facts.routes:
        if route.websocket and route.match.methods not in (None, ("GET",)):
            yield ("routes", index, "match", "methods"), "the handshake of a WebSocket is a GET; drop `methods`"


def streams_end_with_a_token(facts: Facts) -> Iterator[Finding]:
    for index, route in facts.routes:
        if route.require == "anonymous" and "stream_ends" in route.model_fields_set:
            yield ("routes", index, "stream_ends"), "has no effect: an anonymous request has no token"


def shadows_have_something_to_say(facts: Facts) -> Iterator[Finding]:
    for index, route in facts.routes:
        if route.require == "anonymous" and route.shadow:
            yield ("routes", index, "shadow"), "has no effect: an anonymous route refuses nobody"


def database_roles_go_together(facts: Facts) -> Iterator[Finding]:
    settings = facts.settings
    if settings.on_postgresql:
        if settings.database_system_url is None and facts.knows("database_system_url"):
            yield ("database_system_url",), "is required with PostgreSQL (the role yett_system)"
        return
    for field in ("database_system_url", "database_owner_url", "database_admin_url"):
        if getattr(settings, field) is not None:
            yield (field,), "is a role of PostgreSQL, but `database_url` is SQLite"
    if "database_timeout" in settings.model_fields_set:
        yield ("database_timeout",), "has no effect with SQLite"


def one_process_writes_to_sqlite(facts: Facts) -> Iterator[Finding]:
    processes = facts.settings.processes
    if processes is not None and processes > 1 and not facts.settings.on_postgresql:
        yield (
            ("processes",),
            f"cannot be {processes} on SQLite, which is for one: move to PostgreSQL (`database_url`, "
            "`database_system_url`), or leave `processes` (--processes) at 1",
        )


def hashing_is_strong_enough(facts: Facts) -> Iterator[Finding]:
    hashing = facts.settings.hashing
    if hashing.memory * hashing.iterations < _LEAST_WORK:
        yield ("hashing",), "is weaker than OWASP's least: memory times iterations must reach 35MiB, as 19MiB and 2 do"


def listeners_differ(facts: Facts) -> Iterator[Finding]:
    listen, management = facts.settings.listen, facts.settings.management_listen
    if listen == management and listen.port != 0:
        yield ("management_listen",), "is the address of `listen`; management must not be reachable with the public"
    asked = facts.settings.forward_auth.listen
    if asked is not None and asked.port != 0 and asked in (listen, management):
        other = "listen" if asked == listen else "management_listen"
        yield ("forward_auth", "listen"), f"is the address of `{other}`; only proxies must reach this one"


def tls_and_public_url_agree(facts: Facts) -> Iterator[Finding]:
    settings = facts.settings
    if settings.tls.certificates and settings.public_url.startswith("http://"):
        yield ("public_url",), "must be https://: `listen` speaks TLS, since `tls` has certificates"


def hsts_has_tls(facts: Facts) -> Iterator[Finding]:
    tls = facts.settings.tls
    if "hsts" in tls.model_fields_set and not tls.certificates:
        yield ("tls", "hsts"), "has no effect without `certificates`"


def a_target_fits_into_its_header(facts: Facts) -> Iterator[Finding]:
    limits = facts.settings.listen_limits
    if limits.target_size >= limits.header_size:
        yield ("listen_limits", "target_size"), "must be less than `header_size`, of which the target is a part"


def letters_go_one_way(facts: Facts) -> Iterator[Finding]:
    mail = facts.settings.mail
    if mail.smtp_host is not None and mail.directory is not None:
        yield ("mail", "directory"), "is where letters go instead of a server; drop it, or `smtp_host`"


def mail_settings_have_a_server(facts: Facts) -> Iterator[Finding]:
    mail = facts.settings.mail
    if mail.smtp_host is not None:
        return
    for field in ("smtp_port", "security", "username", "timeout", "unsafe_plain_smtp"):
        if field in mail.model_fields_set:
            yield ("mail", field), "has no effect without `smtp_host`"


def mail_credentials_go_together(facts: Facts) -> Iterator[Finding]:
    username, password = facts.settings.mail.username, facts.settings.mail_password
    if username is not None and password is None and facts.knows("mail_password"):
        yield ("mail", "username"), "needs `mail_password` beside it (or `YETT_MAIL_PASSWORD_FILE`)"
    if username is None and password is not None:
        yield ("mail_password",), "needs `mail.username` beside it"


def letters_stay_secret(facts: Facts) -> Iterator[Finding]:
    mail = facts.settings.mail
    if (
        mail.smtp_host is not None
        and mail.security == "none"
        and not is_loopback(mail.smtp_host)
        and not mail.unsafe_plain_smtp
    ):
        yield (
            ("mail", "security"),
            "must be starttls or tls (whoever reads a letter can choose the password); on a network that nobody else "
            "can read, say `unsafe_plain_smtp: true`",
        )


def letters_have_a_sender(facts: Facts) -> Iterator[Finding]:
    mail = facts.settings.mail
    if mail.smtp_host is not None and not is_loopback(mail.smtp_host) and "sender" not in mail.model_fields_set:
        yield ("mail", "sender"), "is required with `smtp_host`: the address that letters come from"


def stolen_passwords_can_be_asked_for(facts: Facts) -> Iterator[Finding]:
    settings = facts.settings
    address = None if settings.breach_lookup is None else WebAddress.parse(settings.breach_lookup).literal
    if address is not None and not may_reach(address, settings.outbound_networks):
        yield ("breach_lookup",), f"{address} is not public: name its network in `outbound_networks` if it is meant"


Check = Callable[[Facts], Iterator[Finding]]

# Each with the fields it reads: it is skipped where one of them was refused already.
CHECKS: tuple[tuple[Check, tuple[str, ...]], ...] = (
    (plain_http_stays_at_home, ("public_url", "unsafe_plain_http")),
    (identity_and_apis_share_no_host, ("public_url", "api_hosts", "unsafe_shared_origin")),
    (api_hosts_are_named_once, ("api_hosts",)),
    (routes_have_hosts, ("api_hosts",)),
    (route_names_are_unique, ()),
    (cookies_go_to_listed_pages_only, ("cors",)),
    (tenants_are_named_once, ()),
    (anonymous_routes_have_no_tenant, ()),
    (anonymous_routes_have_no_identity, ()),
    (handshakes_are_gets, ()),
    (streams_end_with_a_token, ()),
    (shadows_have_something_to_say, ()),
    (database_roles_go_together, ("database_url",)),
    (one_process_writes_to_sqlite, ("processes", "database_url")),
    (hashing_is_strong_enough, ("hashing",)),
    (listeners_differ, ("listen", "management_listen", "forward_auth")),
    (tls_and_public_url_agree, ("tls", "public_url")),
    (hsts_has_tls, ("tls",)),
    (a_target_fits_into_its_header, ("listen_limits",)),
    (letters_go_one_way, ("mail",)),
    (mail_settings_have_a_server, ("mail",)),
    (mail_credentials_go_together, ("mail",)),
    (letters_stay_secret, ("mail",)),
    (letters_have_a_sender, ("mail",)),
    (stolen_passwords_can_be_asked_for, ("breach_lookup", "outbound_networks")),
)


def findings(facts: Facts) -> Iterator[Finding]:
    for check, fields in CHECKS:
        if facts.knows(*fields):
            yield from check(facts)
