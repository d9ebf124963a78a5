"""Each library shows everything of the provider that it can, and the page for developers says the same."""

from pathlib import Path
from types import ModuleType

import pytest

from tests.e2e.clients import test_authlib, test_javascript_libraries, test_oidc_client_ts, test_requests_oauthlib

FEATURES = (
    "code with PKCE",
    "refresh",
    "userinfo",
    "logout",
    "PAR",
    "signed request",
    "DPoP",
    "device",
    "client credentials",
    "private_key_jwt",
    "form_post",
    "introspection",
    "revocation",
)
OF_EVERY_LIBRARY = FEATURES[:4]
LIBRARIES = {
    "openid-client": test_javascript_libraries,
    "oauth4webapi": test_javascript_libraries,
    "oidc-client-ts": test_oidc_client_ts,
    "Authlib": test_authlib,
    "requests-oauthlib": test_requests_oauthlib,
}
PAGE = Path(__file__).parents[3] / "docs" / "provider" / "client-libraries.md"


@pytest.mark.parametrize("library", LIBRARIES)
def test_each_feature_is_shown_or_said_to_be_missing(library: str) -> None:
    module = LIBRARIES[library]
    assert {*module.SHOWN, *module.MISSING} == set(FEATURES)
    assert not module.SHOWN.keys() & module.MISSING.keys()
    assert module.SHOWN.keys() >= set(OF_EVERY_LIBRARY)
    assert not [name for name in module.SHOWN.values() if not hasattr(module, name)]


def test_the_page_for_developers_has_the_same_table() -> None:
    _, _, after = PAGE.read_text(encoding="utf-8").partition("| feature |")
    head, _, *rows = (_cells(line) for line in after.partition("\n\n")[0].splitlines())
    assert set(head) == set(LIBRARIES)
    expected = [[feature, *(_said(LIBRARIES[name], feature) for name in head)] for feature in FEATURES]
    assert rows == expected


def _cells(line: str) -> list[str]:
    return [cell.strip(" `") for cell in line.strip("| ").split("|")]


def _said(module: ModuleType, feature: str) -> str:
    return "yes" if feature in module.SHOWN else "–"
