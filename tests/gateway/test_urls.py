"""URLs come from the configuration alone; an issuer has one spelling."""

import pytest

from gateway import urls

PUBLIC = "http://localhost:8080"
ACME = "http://localhost:8080/t/acme"


def test_an_issuer_and_its_endpoints() -> None:
    assert urls.issuer(PUBLIC, "acme") == ACME
    assert urls.below(ACME, "jwks") == f"{ACME}/jwks"


@pytest.mark.parametrize("slug", ["a", "0", "acme", "a-b", "a--b", "x" * 63])
def test_a_dns_label_is_a_slug(slug: str) -> None:
    assert urls.is_slug(slug)


@pytest.mark.parametrize(
    "slug", ["", "-a", "a-", "A", "Acme", "a.b", "a_b", "a b", " a", "a\n", "ä", "ａ", "x" * 64, "a/b"]
)
def test_anything_else_is_no_slug_and_is_never_folded(slug: str) -> None:
    assert not urls.is_slug(slug)
    with pytest.raises(ValueError, match="slug"):
        urls.issuer(PUBLIC, slug)


def test_the_platforms_slug_is_reserved_but_has_an_issuer() -> None:
    assert not urls.may_be_named("platform")
    assert urls.may_be_named("acme")
    assert urls.issuer(PUBLIC, "platform").endswith("/t/platform")
