"""A byte-level upstream that does what a script says, an ASGI client that tests hold by the hand, and a data plane."""

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from math import inf
from pathlib import Path
from typing import Any
from uuid import UUID

import gateway.proxy
from gateway.audit import Observation
from gateway.authn.dpop import Possession, ProofCheck, SeenProofs
from gateway.authn.dpop_nonce import DpopNonces
from gateway.authn.standing import Standing
from gateway.proxy.identity_token import IdentityTokens
from gateway.proxy.names import Resolve
from gateway.proxy.plane import DataPlane
from gateway.proxy.plane_config import PlaneConfig
from gateway.proxy.pool import UpstreamPool
from gateway.proxy.upstream import Upstream
from policies import acr
from policies.principal import Principal
from policies.route import Route
from policies.route_table import RouteTable
from policies.rule import Acr, All, Anonymous, MaxAge, Rule, Scopes
from tenants.jose import SigningKey
from tenants.keys import NoActiveKey

HOST = "api.example.com"
AUDIENCE = "https://api.example.com/orders"
NOW = 1_800_000_000
ALICE = Principal(
    tenant_id=UUID(int=1),
    tenant="acme",
    subject="alice",
    client_id="demo-app",
    scopes=frozenset({"orders:write", "orders:read"}),
    audiences=frozenset({AUDIENCE}),
    token_id="t1",
    issued_at=NOW,
    expires_at=NOW + 300,
    auth_time=NOW,
    acr="urn:yett:acr:pwd",
    amr=frozenset({"pwd"}),
)
READ = Scopes(frozenset({"orders:read"}))
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Script = Callable[["Peer"], Awaitable[None]]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Peer:
    """The upstream's side of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.gone = asyncio.Event()

    async def head(self) -> bytes:
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        return head

    async def request(self) -> bytes:
        """A head and the body that it announces; the head."""
        head = await self.head()
        fields = {line.partition(b":")[0]: line.partition(b":")[2].strip() for line in head.split(b"\r\n")[1:]}
        if b"content-length" in fields:
            self.bodies.append(await self.reader.readexactly(int(fields[b"content-length"])))
        elif b"transfer-encoding" in fields:
            self.bodies.append(await self.chunked())
        return head

    async def chunked(self) -> bytes:
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readexactly(2)
        return body

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, data: bytes = OK) -> None:
        head = await self.request()
        await self.send(data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if head.startswith(b"HEAD ") else data)

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """End with RST instead of FIN."""
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def until_gone(self) -> None:
        """Read until the gateway has closed."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass
        self.gone.set()


async def polite(peer: Peer) -> None:
    """Answers every request with 200 and keeps the connection."""
    while True:
        await peer.answer()


class ScriptedUpstream:
    """Each connection follows the next script; the last one is followed by all that come after it."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = scripts
        self.peers: list[Peer] = []
        self.failures: list[BaseException] = []
        self.port = 0

    @property
    def heads(self) -> list[bytes]:
        return [head for peer in self.peers for head in peer.heads]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self.scripts[min(len(self.peers), len(self.scripts) - 1)]
        peer = Peer(reader, writer)
        self.peers.append(peer)
        try:
            await script(peer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the gateway closed: what a script may wait for
        except Exception as failure:  # noqa: BLE001 - told to the test at its end
            self.failures.append(failure)
        finally:
            peer.gone.set()
            writer.close()

    @asynccontextmanager
    async def running(self, *, port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator["ScriptedUpstream"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", port, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for peer in self.peers:
                if not peer.gone.is_set():
                    peer.writer.transport.abort()
            await eventually(lambda: all(peer.gone.is_set() for peer in self.peers))
            await server.wait_closed()
        assert not self.failures


class Client:
    """An ASGI request. ``messages`` is what the client was sent; while ``gate`` is closed, it reads nothing."""

    def __init__(self, scope: dict[str, Any]) -> None:
        self.scope = scope
        self.messages: list[dict[str, Any]] = []
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def say(self, body: bytes = b"", *, more: bool = False) -> "Client":
        self._inbox.put_nowait({"type": "http.request", "body": body, "more_body": more})
        return self

    def leave(self) -> None:
        self._inbox.put_nowait({"type": "http.disconnect"})

    async def receive(self) -> dict[str, Any]:
        self.asked += 1
        return await self._inbox.get()

    async def send(self, message: Any) -> None:
        await self.gate.wait()
        self.messages.append(message)

    @property
    def status(self) -> int | None:
        return self.messages[0]["status"] if self.messages else None

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode("latin-1") for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)

    @property
    def complete(self) -> bool:
        return bool(self.messages) and self.messages[-1].get("more_body") is False

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json"
        found: dict[str, Any] = json.loads(self.body)
        return found


def request(
    method: str = "GET",
    path: str = "/orders/7",
    *headers: tuple[str, str],
    token: str | None = "alice",
    query: str = "",
    host: str = HOST,
    peer: str | None = "192.0.2.7",
) -> Client:
    fields = [("host", host), *headers]
    if token is not None:
        fields.append(("authorization", f"Bearer {token}"))
    client = Client(
        {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "raw_path": path.encode("latin-1"),
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields],
            "client": (peer, 4711) if peer else None,
        }
    )
    if not any(name in ("content-length", "transfer-encoding") for name, _ in headers):
        client.say()  # as a server does for a request without a body
    return client


class Refused:
    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.proved_tenant: UUID | None = None
        self.api_key_id: str | None = None


class FakeStandings:
    """What stands, as a test says. ``asked`` counts the questions that cost something."""

    def __init__(self) -> None:
        self.versions: dict[UUID, int] = {}
        self.reasons: dict[str, str] = {}  # by subject
        self.until: dict[str, float] = {}
        self.asked = self.begun = 0

    def version_of(self, tenant_id: UUID) -> int:
        return self.versions.get(tenant_id, 0)

    def begin(self, principal: Principal, token: bytes) -> Standing:
        self.begun += 1
        return Standing(principal, "issuer", token.decode())

    def refused(self, standing: Standing) -> str | None:
        self.asked += 1
        subject = standing.principal.subject
        standing.until = self.until.get(subject, inf)
        return self.reasons.get(subject)

    def revoke(self, principal: Principal, reason: str = "token_revoked") -> None:
        """The feed brings it."""
        self.reasons[principal.subject] = reason
        self.versions[principal.tenant_id] = self.version_of(principal.tenant_id) + 1


STEP_UP: Rule = All((Scopes(frozenset({"admin"})), Acr(acr.MFA), MaxAge(900)))
ROUTES = (
    Route("orders-read", (HOST,), "/orders/**", READ, "orders", methods=frozenset({"GET"})),
    Route(
        "orders-write",
        (HOST,),
        "/orders/**",
        Scopes(frozenset({"orders:write"})),
        "orders",
        methods=frozenset({"POST", "PUT", "DELETE"}),
    ),
    Route("public", (HOST,), "/public/**", Anonymous(), "orders"),
    Route("admin", (HOST,), "/admin/**", STEP_UP, "orders"),
    Route("files", (HOST,), "/files/{key}", READ, "orders", encoded_slash=True),
    Route("passes", (HOST,), "/passes/**", READ, "orders", pass_authorization=True, audit_allow=True),
    Route("vouched", (HOST,), "/vouched/**", READ, "orders", signed_identity=True),
    Route("bound", (HOST,), "/bound/**", READ, "orders", tenants=frozenset({"globex"})),
    Route("mixed-any", (HOST,), "/mixed/**", Anonymous(), "orders"),
    Route("mixed-acme", (HOST,), "/mixed/**", Scopes(frozenset({"never"})), "orders", tenants=frozenset({"acme"})),
)


class World:
    """A data plane with one upstream, and everything that it is told or tells."""

    def __init__(
        self,
        *ports: int,
        trusted: tuple[IPv4Network | IPv6Network, ...] = (ip_network("10.0.0.0/8"),),
        resolve: Resolve | None = None,
        counters: int = 1000,
        **options: Any,
    ) -> None:
        self.clock = Clock()
        self.day: float = NOW  # the time of day that decisions go by
        self.fresh = True
        self.seen: list[Observation] = []
        self.verified: list[bytes] = []
        self.principals: dict[bytes, Principal] = {b"alice": ALICE}
        self.authenticate: Callable[[bytes], Any] = self._authenticate
        self.registered: dict[UUID, set[str]] = {}
        self.issuers: dict[UUID, str] = {ALICE.tenant_id: "https://auth.example.com/t/acme"}
        self.keys: dict[UUID, SigningKey] = {}  # at hand
        self.keys_to_read: dict[UUID, SigningKey] = {}
        self.standings = FakeStandings()
        self.nonces = DpopNonces(lambda: [bytes(32)], self.time)
        self.proofs = SeenProofs()
        options.setdefault("targets", tuple(f"http://127.0.0.1:{port}" for port in ports))
        upstream = Upstream("orders", audience=AUDIENCE, **options)
        self.pool = UpstreamPool(upstream, clock=self.clock, resolve=resolve)
        self.plane = DataPlane(
            PlaneConfig(RouteTable.compile(ROUTES), {"orders": self.pool}),
            authenticate=lambda token: self.authenticate(token),
            possession=Possession(ProofCheck(self.nonces, self.time), self.proofs, self.time),
            feed_fresh=lambda: self.fresh,
            standings=self.standings,
            observe=self.seen.append,
            identities=IdentityTokens(self, self.issuers.get, lambda: self.time()),
            registered=lambda tenant: set().union(
                *(origins for known, origins in self.registered.items() if tenant in (None, known))
            ),
            counters=counters,
            trusted_proxies=trusted,
            now=lambda: self.day,
            ticks=lambda: int(self.clock.now * 1_000_000_000),
        )

    def time(self) -> float:
        """The time of day, which proofs go by."""
        return NOW + self.clock.now - 1000.0

    def _authenticate(self, token: bytes) -> Principal | Refused:
        self.verified.append(token)
        return self.principals.get(token) or Refused("signature_invalid")

    def known(self, tenant_id: UUID) -> SigningKey | None:
        return self.keys.get(tenant_id)

    async def get(self, tenant_id: UUID) -> SigningKey:
        if tenant_id not in self.keys_to_read:
            raise NoActiveKey
        self.keys[tenant_id] = self.keys_to_read[tenant_id]
        return self.keys[tenant_id]

    async def ask(self, client: Client) -> Client:
        await self.plane(client.scope, client.receive, client.send)
        return client

    def begin(self, client: Client) -> "asyncio.Task[Client]":
        return asyncio.create_task(self.ask(client))

    def later(self, seconds: float) -> None:
        """Time passes, and the sweep comes by."""
        self.clock.now += seconds
        self.pool.sweep()


@asynccontextmanager
async def world(*scripts: Script, **options: Any) -> AsyncIterator[tuple[World, ScriptedUpstream]]:
    """A data plane before a scripted upstream; afterwards nothing is left of it."""
    options.setdefault("connect_timeout", timedelta(seconds=5))
    async with ScriptedUpstream(*scripts).running() as upstream:
        made = World(upstream.port, **options)
        try:
            yield made, upstream
            assert not tasks_of_the_proxy()
            assert not [connection for connection in made.pool._connections if connection.busy]
        finally:
            made.pool.close()


def tasks_of_the_proxy() -> list[Any]:
    """Tasks that run code of gateway/proxy itself."""
    home = str(Path(gateway.proxy.__file__).parent)
    coroutines: list[Any] = [task.get_coro() for task in asyncio.all_tasks()]
    return [one for one in coroutines if one.cr_code.co_filename.startswith(home)]


async def eventually(condition: Callable[[], object], *, within: float = 5) -> None:
    """Let the loop run until it is so; fails after so many seconds."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - it is in sockets and in other objects' state
            await asyncio.sleep(0)
