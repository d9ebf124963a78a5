"""A tenant goes into a file and comes out of it in another database, of the other kind, with all that logs in."""

import hashlib
import io
import json
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pyotp
import pytest

from tenants.archive_file import FORMAT, KINDS, LONGEST_LINE, ArchiveReader, ArchiveWriter
from tenants.archive_header import NewTenant, header_of
from tenants.archive_known import Known
from tenants.archive_lines import read
from tenants.archive_seal import ArchiveSeal, WrongPassphrase
from tenants.branding import Logo
from tenants.database import Database
from tenants.directory import Directory
from tenants.errors import InvalidValue
from tenants.sealing import MasterKey, MasterKeys
from tenants.seen_keys import SeenKeys
from tenants.store import Store
from tenants.tenant import Tenant
from tests.conftest import Clock, DatabaseUrls, lent_database
from tests.tenants.test_isolation import Inhabitants, settle

ARCHIVE = UUID(int=77)
SEAL = ArchiveSeal(bytes(range(64)), archive=ARCHIVE)
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000a49444154789c6300010000050001"
    "0d0a2db40000000049454e44ae426082"
)


@pytest.fixture
async def me(directory: Directory, store: Store, clock: Clock) -> Inhabitants:
    made = await settle(directory, store, clock, 1)
    async with store.for_tenant(made.tenant_id) as mine:
        await mine.logos.set(Logo.checked(PNG))
        await mine.credentials.set_password(made.user_id, "$2b$04$" + "u" * 53, must_change=True)
    return made


@pytest.fixture
async def elsewhere(
    request: pytest.FixtureRequest, database: Database, tmp_path: Path, clock: Clock
) -> AsyncIterator[Store]:
    """A store of the other kind, under another master key."""
    keys = MasterKeys([MasterKey("elsewhere", b"e" * 32)])
    if database.is_sqlite:
        admin_url = request.getfixturevalue("postgresql_admin_url")
        async with lent_database(admin_url, request.getfixturevalue("free_databases")) as urls:
            other = Database.open(urls.app, urls.system)
            yield Store(other, keys, clock)
            await other.close()
        return
    template = request.getfixturevalue("sqlite_template")
    other = Database.open(DatabaseUrls(f"sqlite:///{shutil.copy(template, tmp_path / 'other.db')}").app)
    yield Store(other, keys, clock)
    await other.close()


async def exported(store: Store, tenant_id: UUID, clock: Clock, seal: ArchiveSeal | None = SEAL) -> bytes:
    file = io.BytesIO()
    async with store.for_tenant(tenant_id, at_one_moment=True) as mine:
        tenant = await mine.settings.get()
        assert tenant is not None
        header = header_of(tenant, ARCHIVE, clock(), None if seal is None else bytes(16), seal)
        writer = ArchiveWriter(file, header, seal)
        async for kind, body in mine.archive.lines(seal, keys=seal is not None):
            writer.add(kind, body)
        writer.end()
    return file.getvalue()


def rows_of(content: bytes, seal: ArchiveSeal | None = SEAL) -> list[Any]:
    with SeenKeys() as seen:
        known = Known(seal, seen)
        return [
            row
            for line in ArchiveReader(io.BytesIO(content)).lines(seal)
            for row in read(line.kind, line.body, line.number, known)
        ]


async def imported(store: Store, content: bytes, seal: ArchiveSeal | None = SEAL) -> Tenant:
    tenant = NewTenant.read(ArchiveReader(io.BytesIO(content)).header, version=FORMAT)
    async with store.for_tenant(tenant.id) as mine:
        made = await mine.settings.create(
            slug=tenant.slug, name=tenant.name, issuer=tenant.issuer, signing_alg=tenant.signing_alg
        )
        await mine.archive.write(rows_of(content, seal))
    return made


async def test_whoever_logged_in_before_does_so_in_the_other_database(
    store: Store, elsewhere: Store, me: Inhabitants, clock: Clock
) -> None:
    content = await exported(store, me.tenant_id, clock)
    made = await imported(elsewhere, content)
    assert made.id == me.tenant_id
    clock.advance(minutes=5)
    async with store.for_tenant(me.tenant_id, read_only=True) as before, elsewhere.for_tenant(made.id) as mine:
        assert await mine.users.list() == await before.users.list()
        assert await mine.credentials.password(me.user_id) == await before.credentials.password(me.user_id)
        assert await mine.roles.list() == await before.roles.list()
        assert await mine.roles.of_user(me.user_id) == ["reader"]
        assert await mine.groups.list() == await before.groups.list()
        assert await mine.groups.of_user(me.user_id) == ("staff",)
        assert await mine.clients.list() == await before.clients.list()
        assert await mine.api_keys.list() == await before.api_keys.list()
        assert await mine.consents.of_user(me.user_id) == await before.consents.of_user(me.user_id)
        assert await mine.logos.get() == await before.logos.get()
        assert [key.kid for key in await mine.keys.list()] == [key.kid for key in await before.keys.list()]
        assert (await mine.keys.signing()).kid == (await before.keys.signing()).kid
        assert await mine.clients.has_secret("app", me.secret)
        assert [one.id for one in await mine.factors.of_user(me.user_id)] == [me.confirmed.factor_id]
        assert not await mine.factors.redeem(me.user_id, me.codes[0]), "it was used before"
        assert await mine.factors.redeem(me.user_id, pyotp.TOTP(me.confirmed.secret).at(clock()))
        assert await mine.recovery_codes.redeem(me.user_id, me.recovery[0])


async def test_a_file_says_the_same_after_it_went_through_another_database(
    store: Store, elsewhere: Store, me: Inhabitants, clock: Clock
) -> None:
    first = await exported(store, me.tenant_id, clock, None)
    await imported(elsewhere, first, None)
    second = await exported(elsewhere, me.tenant_id, clock, None)
    assert second.splitlines()[1:-1] == first.splitlines()[1:-1]


async def test_without_a_seal_no_secret_and_nothing_of_factors_is_in_it(
    store: Store, me: Inhabitants, clock: Clock
) -> None:
    content = await exported(store, me.tenant_id, clock, None)
    kinds = [next(iter(json.loads(line))) for line in content.splitlines()[1:]]
    assert "key" not in kinds
    for word in (b"sealed", b"factor", b"recovery", b"proof", me.confirmed.secret.encode()):
        assert word not in content


async def test_no_secret_is_in_it_but_sealed(store: Store, me: Inhabitants, clock: Clock) -> None:
    content = await exported(store, me.tenant_id, clock)
    for secret in (me.confirmed.secret, me.secret, me.recovery[0], me.api_key_text, me.refresh_token):
        assert secret.encode() not in content
    assert {next(iter(json.loads(line))) for line in content.splitlines()[1:]} == {*KINDS, "end"}


async def test_rows_are_written_for_the_tenant_that_the_store_is_of(
    elsewhere: Store, store: Store, me: Inhabitants, clock: Clock
) -> None:
    """Whatever is in the file, no other tenant's row can be meant, and what hangs on nobody is refused."""
    content = await exported(store, me.tenant_id, clock)
    await imported(elsewhere, content)
    mallory = uuid4()
    async with elsewhere.for_tenant(mallory) as hers:
        await hers.settings.create(slug="mallory", name="M", issuer="https://m.example.com")
        with pytest.raises(InvalidValue):
            await hers.archive.write([("user_roles", {"user_id": me.user_id, "role": "reader"})])
        await hers.archive.write(row for row in rows_of(content) if row[0] == "users")
        assert [user.id for user in await hers.users.list()] == [me.user_id]
        assert await hers.roles.of_user(me.user_id) == []
        with pytest.raises(InvalidValue):
            await hers.archive.write(row for row in rows_of(content) if row[0] == "users")


# --- files that are not what they should be


def a_file(*lines: Any, seal: ArchiveSeal | None = SEAL) -> bytes:
    """An archive with these lines, whole by its last one."""
    file = io.BytesIO()
    writer = ArchiveWriter(file, {"id": str(ARCHIVE)}, seal)
    for kind, body in lines:
        writer.add(kind, body)
    writer.end()
    return file.getvalue()


ROLE = ("role", {"name": "reader", "scopes": ["a"]})
AT = "2026-11-25T12:00:00+00:00"
USER: dict[str, Any] = {"id": str(UUID(int=1)), "name": "u", "email_verified": False, "active": True, "created_at": AT}


def changed(content: bytes, before: bytes, after: bytes) -> bytes:
    assert before in content
    return content.replace(before, after)


WHOLE = a_file(ROLE, ("user", USER))
BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "no exported tenant"),
    "something else": (lambda: b'{"name": "alice"}\n', "no exported tenant"),
    "a zip": (lambda: b"PK\x03\x04" + bytes(1000), "line 1 is no JSON"),
    "a later version": (lambda: changed(WHOLE, b'export":1', b'export":2'), "reads version 1"),
    "no version": (lambda: changed(WHOLE, b'export":1', b'export":true'), "reads version 1"),
    "cut off": (lambda: WHOLE[: WHOLE.rindex(b'{"end"')], "has no end"),
    "cut off in a line": (lambda: WHOLE[: WHOLE.index(b"reader")], "line 2 is no JSON"),
    "a line less": (
        lambda: b"".join(WHOLE.splitlines(keepends=True)[:1] + WHOLE.splitlines(keepends=True)[2:]),
        "changed",
    ),
    "another name": (lambda: changed(WHOLE, b'"u"', b'"v"'), "changed or damaged"),
    "another name and digest": (lambda: resummed(changed(WHOLE, b'"u"', b'"v"')), "passphrase does not prove it"),
    "no proof": (lambda: a_file(ROLE, seal=None), "passphrase does not prove it"),
    "more behind it": (lambda: WHOLE + b"\n", "follows the last line"),
    "another order": (lambda: a_file(("user", USER), ROLE), "line 3 is a role where users stand"),
    "an unknown kind": (lambda: a_file(("session", {})), "of no kind that is known: 'session'"),
    "two things in a line": (lambda: WHOLE.replace(b'{"role":', b'{"user":{},"role":'), "line 2 has one thing"),
    "a list": (lambda: WHOLE.replace(b'{"role":', b'[]\n{"role":'), "line 2 is no JSON object"),
    "a list in a line": (
        lambda: a_file(ROLE).replace(b'{"name"', b'[{"name"').replace(b"]}}", b"]}]}", 1),
        "an object",
    ),
    "a member twice": (lambda: WHOLE.replace(b'"name":"reader"', b'"name":"x","name":"reader"'), "line 2 is no JSON"),
    "deep": (lambda: WHOLE.replace(b'["a"]', b"[" * 100_000), "line 2 is no JSON"),
    "a number that is none": (lambda: WHOLE.replace(b'["a"]', b"NaN"), "line 2 is no JSON"),
    "a long number": (lambda: WHOLE.replace(b'["a"]', b"1" * 5000), "line 2 is no JSON"),
    "a long line": (lambda: WHOLE.replace(b'"a"', b'"' + b"a" * LONGEST_LINE + b'"'), "line 2 has more than 1,048,576"),
    "no text": (lambda: WHOLE.replace(b'"a"', b'"\xff"'), "line 2 is no JSON"),
}


def resummed(content: bytes) -> bytes:
    """As somebody would who knows the format and not the passphrase."""
    before = content[: content.rindex(b'{"end"')]
    end = json.loads(content.splitlines()[-1])
    end["end"]["sha256"] = hashlib.sha256(before).hexdigest()
    return before + json.dumps(end).encode() + b"\n"


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_with_its_line(name: str) -> None:
    make, told = BROKEN[name]
    with pytest.raises(InvalidValue, match=told):
        list(ArchiveReader(io.BytesIO(make())).lines(SEAL))


def test_a_file_is_read_line_by_line() -> None:
    class Counted(io.BytesIO):
        most = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            raw = super().readline(size)
            self.most = max(self.most, len(raw))
            return raw

        def read(self, size: int | None = -1, /) -> bytes:
            assert size == 1, "nothing is read whole"
            return super().read(size)

    file = Counted(WHOLE.replace(b'"a"', b'"' + b"a" * (5 * LONGEST_LINE) + b'"'))
    with pytest.raises(InvalidValue, match="line 2 has more than"):
        list(ArchiveReader(file).lines(SEAL))
    assert file.most == LONGEST_LINE + 1


def factor(secret: str | None = None, whose: str = "1", **more: Any) -> dict[str, Any]:
    """A user with one authenticator."""
    factor_id = str(UUID(int=1))
    sealed = SEAL.seal((secret or pyotp.random_base32()).encode(), whose=f"totp_factors {UUID(int=int(whose))}")
    body = {"id": factor_id, "name": "Phone", "sealed_secret": sealed, "created_at": AT, "confirmed_at": AT}
    return {**USER, "factors": [{**body, **more}]}


CLIENT = {
    "client_id": "app",
    "name": "App",
    "confidential": False,
    "active": True,
    "grant_types": ["password"],
    "scopes": ["a"],
    "audiences": ["https://api.example.com"],
    "auth_method": "none",
    "options": {},
    "created_at": AT,
}
ARGON2 = "$argon2id$v=19$m={memory},t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$" + "A" * 43


def with_hash(text: str) -> dict[str, Any]:
    return {**USER, "password": [{"hash": text, "version": 1, "stands_alone": True, "changed_at": AT}]}


FAULTY: list[tuple[str, dict[str, Any], str]] = [
    ("role", {"name": "a b", "scopes": []}, "a role name is"),
    ("role", {"name": "a", "scopes": ["a b"]}, "is not a scope"),
    ("role", {"name": "a", "scopes": "a"}, "role.scopes is a list"),
    ("role", {"name": "a", "scopes": [], "tenant_id": str(uuid4())}, "a role has no 'tenant_id'"),
    ("role", {"scopes": []}, "a role lacks name"),
    ("client", {**CLIENT, "grant_types": ["magic"]}, "unknown grant types"),
    ("client", {**CLIENT, "redirect_uris": ["javascript:alert(1)"]}, "is not a redirect URI"),
    ("client", {**CLIENT, "options": {"is_admin": True}}, "options:"),
    ("client", {**CLIENT, "options": {"first_party": "no"}}, "first_party is true or false"),
    ("client", {**CLIENT, "options": {"claim_mapping": 7}}, "options:"),
    ("client", {**CLIENT, "secrets": [{"id": "1"}]}, "client.secrets.id is a UUID"),
    ("client", {**CLIENT, "client_id": str(uuid4())}, "a client id is no UUID"),
    ("user", {**USER, "id": "1"}, "user.id is a UUID"),
    ("user", {**USER, "name": "a\u200bb"}, "cannot be a user's name"),
    ("user", {**USER, "name": "a\x00b"}, "user.name is text"),
    ("user", {**USER, "name": "a\ud800"}, "user.name is text"),
    ("user", {**USER, "email": "nobody"}, "an email address is"),
    ("user", {**USER, "email_verified": True}, "without an address"),
    ("user", {**USER, "active": 1}, "user.active is true or false"),
    ("user", {**USER, "created_at": "2026-11-25T12:00:00"}, "user.created_at is a time with its zone"),
    ("user", {**USER, "roles": ["king"]}, "there is no role 'king'"),
    ("user", {**USER, "tenant_id": str(uuid4())}, "a user has no 'tenant_id'"),
    ("user", {**USER, "factor_step": -1}, "user.factor_step is a whole number"),
    ("user", {**USER, "factor_step": 2**63}, "user.factor_step is a whole number"),
    ("user", {**USER, "recovery_codes": [{"digest": "00", "created_at": AT}]}, "is a SHA-256 in hex"),
    ("user", {**USER, "consents": [{"client_id": "app", "audience": "https://a"}]}, "there is no client 'app'"),
    ("user", with_hash("correct horse"), "no hash that is verified here"),
    ("user", with_hash(ARGON2.format(memory=4 * 1024 * 1024)), "costs too much"),
    ("user", with_hash("$2b$31$" + "u" * 53), "costs too much"),
    ("user", factor(whose="2"), "belongs to another line"),
    ("user", factor(secret="not base32!"), "a factor's secret is base32"),
    ("user", factor(sealed_secret="!"), "cannot be opened"),
    ("user", {**USER, "factors": [factor()["factors"][0]] * 11}, "a list of at most 10 objects"),
    ("user", {**USER, "factors": [factor()["factors"][0]] * 2}, "stands on line 7 already"),
    ("logo", {"image": "PHN2Zz4=", "changed_at": AT}, "one whole PNG, JPEG or WebP"),
    ("logo", {"image": "!", "changed_at": AT}, "base64"),
    ("api_key", {"id": str(uuid4()), "digest": "00" * 32, "name": "k", "created_at": AT}, "has scopes and audiences"),
    ("user", factor(name="P" * 101), "user.factors.name is text of 1 to 100"),
    ("client", {**CLIENT, "options": {"a\x1b[2J": True}}, r"unexpected keyword argument 'a\\x1b\[2J'"),
    ("key", {"kid": "k", "alg": "none", "state": "active"}, "key.alg is one of"),
    ("key", {"kid": "k", "alg": "ES256", "state": "revoked"}, "key.state is one of"),
    (
        "key",
        {"kid": "k", "alg": "ES256", "state": "next", "sealed_private": SEAL.seal(b"x", whose="signing_keys k")},
        "its private half cannot be read",
    ),
]


@pytest.mark.parametrize(("kind", "body", "told"), FAULTY, ids=lambda value: value if isinstance(value, str) else "")
def test_a_line_that_is_not_in_order_is_refused_in_words(kind: str, body: dict[str, Any], told: str) -> None:
    with SeenKeys() as seen, pytest.raises(InvalidValue, match=told):
        read(kind, body, 7, Known(SEAL, seen))


@pytest.mark.parametrize("named", ["sealed", "unsealed"])
def test_secrets_want_a_passphrase(named: str) -> None:
    with SeenKeys() as seen:
        known = Known(SEAL if named == "sealed" else None, seen)
        if named == "sealed":
            assert [table for table, _ in read("user", factor(), 1, known)] == ["users", "totp_factors"]
        else:
            with pytest.raises(InvalidValue, match="an archive that has no passphrase"):
                read("user", factor(), 1, known)


def test_what_stood_on_an_earlier_line_is_told_with_it() -> None:
    with SeenKeys() as seen:
        known = Known(SEAL, seen)
        read("user", {**USER, "email": "A@example.com"}, 3, known)
        for other, told in (
            ({"name": "w"}, f"user '{UUID(int=1)}' stands on line 3"),
            ({"id": str(UUID(int=2)), "name": "U"}, "user name 'u' stands on line 3"),
            ({"id": str(UUID(int=3)), "name": "w", "email": "a@EXAMPLE.com"}, "email address 'a@example.com' stands"),
        ):
            with pytest.raises(InvalidValue, match=told):
                read("user", {**USER, **other}, 4, known)


HEADER: dict[str, Any] = {
    FORMAT: 1,
    "id": str(ARCHIVE),
    "at": AT,
    "tenant": {
        "id": str(UUID(int=1)),
        "slug": "acme",
        "name": "Acme",
        "issuer": "https://auth.example.com/t/acme",
        "active": True,
        "signing_alg": "ES256",
        "lifetimes": {},
        "people": {},
        "branding": {},
        "provider": {},
    },
}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"signing_alg": "none"}, "signs with one of"),
        ({"lifetimes": {"access_token": 10**9}}, "a lifetime is at|an access token lives"),
        ({"lifetimes": {"access_token": "5"}}, "in whole seconds"),
        ({"lifetimes": {"access\x1b[2J": 5}}, r"unknown lifetimes: access\\x1b\[2J"),
        ({"issuer": "https://a\x1b[2J"}, "printable"),
        ({"lifetimes": {"forever": 5}}, "unknown lifetimes"),
        ({"people": {"otp": "never"}}, "otp is one of"),
        ({"people": {"is_admin": True}}, "another shape"),
        ({"people": {"sign_up": "yes"}}, "sign_up is true or false"),
        ({"people": {"mail_sender": "x\r\nBcc: y"}}, "a sender is an email address"),
        ({"branding": {"accent": "red;}"}}, "a colour is"),
        ({"branding": {"tagline": "<{script}>"}}, "a tagline has no other field"),
        ({"provider": {"key_rotation": 1}}, "a key signs for"),
        ({"provider": []}, "tenant.provider is an object"),
        ({"name": ""}, "tenant.name is text"),
        ({"owner": "me"}, "a tenant has no 'owner'"),
    ],
)
def test_settings_are_judged_as_a_change_of_them_is(changes: dict[str, Any], told: str) -> None:
    header = {**HEADER, "tenant": {**HEADER["tenant"], **changes}}
    with pytest.raises(InvalidValue, match=told):
        NewTenant.read(header, version=FORMAT)


def test_a_header_is_read_as_it_was_written(clock: Clock) -> None:
    assert NewTenant.read(HEADER, version=FORMAT).slug == "acme"
    with pytest.raises(InvalidValue, match="both salt and check"):
        NewTenant.read({**HEADER, "salt": "00"}, version=FORMAT)


def test_a_passphrase_opens_what_it_sealed_and_no_other_does() -> None:
    salt = bytes(16)
    seal = ArchiveSeal.under("a long passphrase", archive=ARCHIVE, salt=salt)
    again = ArchiveSeal.under("a long passphrase", archive=ARCHIVE, salt=salt)
    again.confirm(seal.check())
    assert again.open(seal.seal(b"secret", whose="x"), whose="x") == b"secret"
    assert again.proof(b"d") == seal.proof(b"d")
    with pytest.raises(WrongPassphrase):
        SEAL.confirm(seal.check())
    with pytest.raises(InvalidValue, match="12 to 1,024 characters"):
        ArchiveSeal.under("short", archive=ARCHIVE, salt=salt)
    with pytest.raises(InvalidValue):
        ArchiveSeal(bytes(range(64)), archive=UUID(int=78)).open(SEAL.seal(b"s", whose="x"), whose="x")


async def test_clients_of_many_pages_are_all_there(
    store: Store, elsewhere: Store, me: Inhabitants, clock: Clock
) -> None:
    with SeenKeys() as seen:
        known = Known(SEAL, seen)
        many = [row for n in range(501) for row in read("client", {**CLIENT, "client_id": f"app{n:03}"}, n, known)]
    async with store.for_tenant(me.tenant_id) as mine:
        await mine.archive.write(many)
        assert await mine.archive.size() == 503
    await imported(elsewhere, await exported(store, me.tenant_id, clock))
    async with elsewhere.for_tenant(me.tenant_id, read_only=True) as mine:
        assert len(await mine.clients.list()) == 502
