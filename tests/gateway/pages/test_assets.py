"""What a page loads: the right tenant's, with its own type, kept for good under its version and nowhere else."""

from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import httpx
import pytest
from fastapi import Request
from sqlalchemy.exc import OperationalError
from starlette.types import ASGIApp

from gateway.errors import TenantNotFound
from gateway.limits import AddressLimit
from gateway.middleware import WithContext
from gateway.pages.assets import assets_router
from gateway.pages.page import Page
from gateway.pages.renderer import Renderer
from gateway.pages.stylesheets import brand_sheet, page_sheet
from gateway.web import application
from tenants.branding import Branding
from tenants.directory import Directory
from tenants.snapshot import TenantFacts
from tenants.store import Store
from tenants.tenant import Tenant
from tests.gateway.asgi import calling
from tests.gateway.pages.markup import Markup
from tests.gateway.pages.samples import a_logo

FOR_GOOD = "public, max-age=31536000, immutable"

LIMIT = AddressLimit("1000/minute")


def tenant_of(*tenants: Tenant) -> Callable[[str, Request], TenantFacts]:
    known = {tenant.slug: TenantFacts(tenant.id, tenant.slug, tenant.issuer, True) for tenant in tenants}

    def find(slug: str, request: Request) -> TenantFacts:
        if slug not in known:
            raise TenantNotFound
        return known[slug]

    return find


@pytest.fixture
async def acme(directory: Directory, store: Store) -> Tenant:
    """Branded, with a logo."""
    made = await directory.create(slug="acme", name="Acme", issuer="http://gateway.test/t/acme", actor="test")
    logo = a_logo()
    async with store.for_tenant(made.id) as mine:
        await mine.logos.set(logo)
        await mine.settings.set_branding(Branding().checked(accent="#ffd400", logo=logo.version))
    async with store.for_tenant(made.id, read_only=True) as mine:
        tenant = await mine.settings.get()
    assert tenant is not None
    return tenant


@pytest.fixture
async def globex(directory: Directory) -> Tenant:
    """As it was made."""
    return await directory.create(slug="globex", name="Globex", issuer="http://gateway.test/t/globex", actor="test")


@pytest.fixture
async def client(store: Store, acme: Tenant, globex: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    app: ASGIApp = application(assets_router(tenant_of(acme, globex), store, LIMIT))
    async with calling(WithContext(app, ())) as client:
        yield client


async def test_a_page_finds_everything_that_it_names(client: httpx.AsyncClient, acme: Tenant) -> None:
    page = Page("message.html", "T", {"heading": "H", "text": "T", "link_url": None, "link_text": None})
    response = Renderer().response(page, tenant=acme)
    markup = Markup(bytes(response.body).decode())

    addresses = [element.attributes.get("href") or element.attributes["src"] for element in markup.all("link", "img")]

    assert len(addresses) == 4
    for address in addresses:
        answer = await client.get(str(address))
        assert (answer.status_code, answer.headers["cache-control"]) == (200, FOR_GOOD)


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("yett.css", "text/css; charset=utf-8"),
        ("brand.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
        ("form_post.js", "text/javascript; charset=utf-8"),
        ("logo", "image/png"),
    ],
)
async def test_each_file_has_its_own_type_and_can_run_nothing(
    client: httpx.AsyncClient, name: str, media_type: str
) -> None:
    answer = await client.get(f"/t/acme/assets/{name}")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == media_type
    assert set(answer.headers.get_list("x-content-type-options")) == {"nosniff"}
    assert set(answer.headers.get_list("content-security-policy")) == {"default-src 'none'; frame-ancestors 'none'"}
    assert answer.headers["cache-control"] == "no-cache"


async def test_each_tenant_has_its_own_colours_and_logo(client: httpx.AsyncClient) -> None:
    assert (await client.get("/t/acme/assets/brand.css")).content == brand_sheet("#ffd400").body
    assert (await client.get("/t/globex/assets/brand.css")).content == brand_sheet(None).body
    assert (await client.get("/t/acme/assets/logo")).content == a_logo().image
    assert (await client.get("/t/globex/assets/logo")).status_code == 404


@pytest.mark.parametrize("name", ["yett.css", "brand.css", "icon.svg", "form_post.js", "logo"])
async def test_nobodys_tenant_has_no_files(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.get(f"/t/initech/assets/{name}")).status_code == 404


async def test_another_version_than_todays_is_not_kept(client: httpx.AsyncClient) -> None:
    sheet = page_sheet()

    assert (await client.get(f"/t/acme/assets/yett.css?v={sheet.version}")).headers["cache-control"] == FOR_GOOD
    assert (await client.get("/t/acme/assets/yett.css?v=0000000000000000")).headers["cache-control"] == "no-cache"
    old = brand_sheet(None).version  # acme's own before it was branded
    assert (await client.get(f"/t/acme/assets/brand.css?v={old}")).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["yett.css", "brand.css", "icon.svg", "form_post.js", "logo"])
async def test_what_a_browser_holds_is_not_sent_again(client: httpx.AsyncClient, name: str) -> None:
    address = f"/t/acme/assets/{name}"
    etag = (await client.get(address)).headers["etag"]

    for held in (etag, f"W/{etag}", f'"old", {etag}', "*"):
        answer = await client.get(address, headers={"If-None-Match": held})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
        assert answer.headers["cache-control"] == "no-cache"
    for other in ('"old"', etag.strip('"'), ""):
        assert (await client.get(address, headers={"If-None-Match": other})).status_code == 200


async def test_a_new_logo_is_served_at_once_and_a_removed_one_no_more(
    client: httpx.AsyncClient, acme: Tenant, store: Store
) -> None:
    before = (await client.get("/t/acme/assets/logo")).headers["etag"]
    async with store.for_tenant(acme.id) as mine:
        await mine.logos.remove()
    answer = await client.get("/t/acme/assets/logo", headers={"If-None-Match": before})
    assert answer.status_code == 404


async def test_without_a_database_it_is_503_and_soon_again(
    store: Store, acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object, **__: object) -> None:
        raise OperationalError("SELECT", {}, Exception("connection refused"))

    monkeypatch.setattr(Store, "for_tenant", down)
    async with calling(WithContext(application(assets_router(tenant_of(acme), store, LIMIT)), ())) as client:
        for name in ("brand.css", "logo"):
            answer = await client.get(f"/t/acme/assets/{name}")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert (await client.get("/t/acme/assets/yett.css")).status_code == 200


async def test_a_tenant_deleted_meanwhile_has_no_colours(store: Store, acme: Tenant) -> None:
    gone = Tenant(uuid4(), "gone", "Gone", "http://gateway.test/t/gone", True, "ES256", None, acme.created_at)
    async with calling(WithContext(application(assets_router(tenant_of(gone), store, LIMIT)), ())) as client:
        assert (await client.get("/t/gone/assets/brand.css")).status_code == 404


async def test_what_asks_the_database_is_limited_per_address(acme: Tenant, store: Store) -> None:
    app: ASGIApp = application(assets_router(tenant_of(acme), store, AddressLimit("2/minute")))
    async with calling(WithContext(app, ())) as client:
        answers = [(await client.get("/t/acme/assets/brand.css")).status_code for _ in range(4)]
        assert answers == [200, 200, 429, 429]
        assert (await client.get("/t/acme/assets/yett.css")).status_code == 200
