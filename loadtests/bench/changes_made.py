"""The changes that ``everywhere.py`` makes, each with the question by which a process shows that it acts on it."""

import asyncio
import json
import os
import signal
import time
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar
from urllib.parse import urlencode
from uuid import UUID, uuid4

import psycopg
from keep_alive import Answer, request
from pods import API, AUDIENCE, IDENTITY, Written
from sqlalchemy import make_url

from gateway import urls
from gateway.installation import open_installation
from gateway.settings import load
from policies.key_rotation import PromoteNow
from tenants.clients import Client
from tenants.store import TenantStore

T = TypeVar("T")
Is = Callable[[Answer], bool]
_SCOPE = "orders:read"
_LIFETIME = 6 * 3600
_ROTATIONS = 20  # of one tenant: its former keys are published, and would become a load of their own


@dataclass(frozen=True, slots=True)
class Change:
    """``commit`` makes it, and answers when that was (``perf_counter``). Before, every process answers ``question`` as
    ``before`` has it; who acts on it, as ``after``.
    """

    question: bytes
    before: Is
    commit: Callable[[], float]
    after: Is


@dataclass(frozen=True, slots=True)
class Kind:
    """``change`` is prepared by its number."""

    what: str
    change: Callable[[int], Change]


class Administrator:
    """Another process than the pods', in the same installation, with ``count`` changes of each kind to make."""

    def __init__(self, written: Written, admin: str, count: int) -> None:
        self._written, self._admin, self._count = written, admin, count
        self._runner = asyncio.Runner()
        self._open = AsyncExitStack()
        self._secrets: list[str] = []
        self._tenants: dict[str, UUID] = {}

    def __enter__(self) -> "Administrator":
        settings = load(self._written.path, {})
        self._installation = self._runner.run(self._open.enter_async_context(open_installation(settings)))
        self._runner.run(self._settle())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._open.aclose())
        self._runner.close()

    def token(self, *, tenant: str = "bench", subject: str | None = None, jti: str | None = None) -> str:
        """As the tenant would issue it, to a client or to a user; of somebody new unless it is said."""

        async def sign(store: TenantStore) -> str:
            now = int(time.time())
            claims = {
                "iss": self._issuer(tenant),
                "sub": subject or f"client-{uuid4()}",
                "aud": AUDIENCE,
                "client_id": "app",
                "scope": _SCOPE,
                "jti": jti or str(uuid4()),
                "iat": now,
                "exp": now + _LIFETIME,
            }
            return (await store.keys.signing()).sign("at+jwt", claims)

        return self._does(tenant, sign)[0]

    def kinds(self, supervisors: Sequence[int]) -> Sequence[Kind]:
        """All of them. ``supervisors`` are told that the configuration has changed."""
        self._supervisors = supervisors
        self._usual = self.token()
        self._suspended = self.token(tenant="suspended")
        return (
            Kind("revoked token", self._revoke),
            Kind("disabled user", self._disable),
            Kind("suspended tenant", self._suspend),
            Kind("edited route", self._edit),
            Kind("rotated key", self._rotate),
        )

    def failures(self) -> Mapping[str, int]:
        """Failed logins of the tenant, by what they are counted for."""
        server = make_url(self._admin).set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(server) as session:
            return dict(session.execute("SELECT kind, sum(failures)::int FROM throttles GROUP BY kind").fetchall())

    def _revoke(self, _number: int) -> Change:
        jti = str(uuid4())
        asked = _get("/orders/7", self.token(jti=jti))
        return Change(
            asked, _is(200), lambda: self._does("bench", lambda s: s.revocations.forbid("token", jti))[1], _is(401)
        )

    def _disable(self, _number: int) -> Change:
        user = self._does("bench", lambda store: store.users.create(f"user-{uuid4().hex}"))[0]
        asked = _get("/orders/7", self.token(subject=str(user.id)))
        return Change(
            asked, _is(200), lambda: self._does("bench", lambda s: s.users.set_active(user.id, False))[1], _is(401)
        )

    def _suspend(self, _number: int) -> Change:
        self._does("suspended", lambda store: store.settings.set_active(True))
        return Change(
            _get("/orders/7", self._suspended),
            _is(200),
            lambda: self._does("suspended", lambda store: store.settings.set_active(False))[1],
            lambda answer: answer.status != 200,
        )

    def _edit(self, number: int) -> Change:
        scope, before, after = ("orders:none", 200, 403) if number % 2 == 0 else (_SCOPE, 403, 200)

        def edit() -> float:
            began = time.perf_counter()
            self._written.write(scope)
            for supervisor in self._supervisors:
                os.kill(supervisor, signal.SIGHUP)
            return began

        return Change(_get("/edited/7", self._usual), _is(before), edit, _is(after))

    def _rotate(self, number: int) -> Change:
        of = number // _ROTATIONS
        tenant, made = f"rotated-{of}", list[str]()

        def rotate() -> float:
            promotion, at = self._does(tenant, lambda store: store.keys.rotate("ES256", force=True))
            if not isinstance(promotion, PromoteNow):
                raise RuntimeError(f"a key was not rotated: {promotion}")
            made.append(promotion.kid)
            return at

        form = {"grant_type": "client_credentials", "client_id": "service", "client_secret": self._secrets[of]}
        asked = request("POST", f"/t/{tenant}/token", {"Host": IDENTITY}, urlencode(form))
        return Change(asked, _is(200), rotate, lambda answer: _kid(answer) == made[0])

    def _does(self, tenant: str, work: Callable[[TenantStore], Awaitable[T]]) -> tuple[T, float]:
        """In one transaction: what it answers, and when that was committed."""
        return self._runner.run(self._step(self._tenants[tenant], work))

    async def _step(self, tenant: UUID, work: Callable[[TenantStore], Awaitable[T]]) -> tuple[T, float]:
        async with self._installation.store.for_tenant(tenant) as store:
            answer = await work(store)
        return answer, time.perf_counter()

    async def _settle(self) -> None:
        rotated = [f"rotated-{number}" for number in range(-(-self._count // _ROTATIONS))]
        for slug in ("bench", "suspended", *rotated):
            made = await self._installation.directory.create(
                slug=slug, name=slug, issuer=self._issuer(slug), actor="bench"
            )
            self._tenants[slug] = made.id
            async with self._installation.store.for_tenant(made.id) as store:
                await store.clients.create(_client("app", confidential=False, grant="password"))
                await store.clients.create(_client("service", confidential=True, grant="client_credentials"))
                secret = await store.clients.add_secret("service")
            if slug in rotated:
                self._secrets.append(secret)

    def _issuer(self, slug: str) -> str:
        return urls.issuer(self._installation.settings.public_url, slug)


def _client(client_id: str, *, confidential: bool, grant: str) -> Client:
    return Client(
        client_id=client_id,
        name=client_id,
        confidential=confidential,
        auth_method="client_secret_post" if confidential else "none",
        grant_types=frozenset({grant}),
        scopes=frozenset({_SCOPE}),
        default_scopes=frozenset({_SCOPE}),
        audiences=(AUDIENCE,),
    )


def _get(path: str, token: str) -> bytes:
    return request("GET", path, {"Host": API, "Authorization": f"Bearer {token}"})


def _is(status: int) -> Is:
    return lambda answer: answer.status == status


def _kid(answer: Answer) -> str:
    """Of the token that was issued."""
    if answer.status != 200:
        raise RuntimeError(f"/token answered {answer.status}: {answer.body[:200]!r}")
    head = json.loads(answer.body)["access_token"].partition(".")[0]
    return str(json.loads(urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"])
