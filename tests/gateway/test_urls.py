"""URLs come from the configuration alone; an issuer has one spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import urls

PUBLIC = "http://localhost:8080"
ACME = "http://localhost:8080/t/acme"


def test_an_issuer_and_its_endpoints() -> None:
    assert urls.issuer(PUBLIC, "acme") == ACME
    assert urls.discovery(ACME) == f"{ACME}/.well-known/openid-configuration"
    assert urls.authorization_server_metadata(ACME) == f"{PUBLIC}/.well-known/oauth-authorization-server/t/acme"
    assert urls.jwks(ACME) == f"{ACME}/jwks"
    assert urls.token(ACME) == f"{ACME}/token"
    assert urls.origin(ACME) == PUBLIC


def test_an_own_host_has_its_metadata_at_the_root() -> None:
    assert urls.authorization_server_metadata("https://login.acme.example") == (
        "https://login.acme.example/.well-known/oauth-authorization-server"
    )


def test_an_api_is_reached_by_the_scheme_of_the_public_url() -> None:
    base = urls.api_base(PUBLIC, "127.0.0.1:8080")

    assert base == "http://127.0.0.1:8080"
    assert urls.resource_metadata(base) == "http://127.0.0.1:8080/.well-known/oauth-protected-resource"


@pytest.mark.parametrize("slug", ["a", "0", "acme", "a-b", "a--b", "x" * 63])
def test_a_dns_label_is_a_slug(slug: str) -> None:
    assert urls.is_slug(slug)
    assert urls.slug_in_path(f"/t/{slug}/token") == (slug, "/token")
    assert urls.slug_in_path(f"/t/{slug}") == (slug, "")


@pytest.mark.parametrize(
    "slug", ["", "-a", "a-", "A", "Acme", "a.b", "a_b", "a b", " a", "a\n", "ä", "ａ", "x" * 64, "a/b"]
)
def test_anything_else_is_no_slug_and_is_never_folded(slug: str) -> None:
    assert not urls.is_slug(slug)
    with pytest.raises(ValueError, match="slug"):
        urls.issuer(PUBLIC, slug)


@pytest.mark.parametrize(
    "path", ["", "/", "/t", "/t/", "/t//token", "/T/acme/token", "/t/ACME/token", "//t/acme", "t/acme"]
)
def test_a_path_below_no_tenant_names_none(path: str) -> None:
    assert urls.slug_in_path(path) is None


def test_the_platforms_slug_is_reserved_but_has_an_issuer() -> None:
    assert not urls.may_be_named("platform")
    assert urls.may_be_named("acme")
    assert urls.issuer(PUBLIC, "platform").endswith("/t/platform")


@given(st.text(max_size=70))
def test_a_path_that_names_a_tenant_is_below_its_issuer(rest: str) -> None:
    path = f"/t/{rest}"
    match urls.slug_in_path(path):
        case (slug, below):
            assert urls.issuer(PUBLIC, slug) + below == PUBLIC + path
        case None:
            assert not urls.is_slug(rest.partition("/")[0])
