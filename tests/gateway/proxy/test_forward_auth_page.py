"""What docs/forward-auth.md has operators write down holds what the header table needs."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.proxy.headers import FAMILIES, RULES, misleads

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "forward-auth.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^## (\w+)\n+```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN = dict(_BLOCK.findall(PAGE))


def _fits(pattern: dict[str, Any], name: str) -> bool:
    """As Envoy's StringMatcher has it: of an expression, the whole."""
    match pattern:
        case {"exact": str(exact)}:
            return name == exact
        case {"prefix": str(prefix)}:
            return name.startswith(prefix)
        case {"safe_regex": {"regex": str(regex)}}:
            return re.fullmatch(regex, name) is not None
    raise AssertionError(pattern)


@pytest.mark.parametrize(
    "name",
    [
        *(name.decode() for name in RULES if misleads(name)),
        *("x-yett-subject", "x-original-url", "x-original-host"),
        *(name.decode().replace("-", sign) for name in RULES if b"-" in name for sign in "_.~"),
        *(f"{prefix.decode().replace('-', sign)}x" for prefix, _ in FAMILIES for sign in "_."),
    ],
)
def test_envoy_shows_every_field_that_has_to_be_refused(name: str) -> None:
    assert misleads(name.encode())
    (filters,) = yaml.safe_load(SHOWN["Envoy"])["http_filters"]
    patterns = filters["typed_config"]["allowed_headers"]["patterns"]
    assert any(_fits(pattern, name) for pattern in patterns)


@pytest.mark.parametrize("name", ["accept", "cookie", "x-request-id", "x-real-ip"])
def test_envoy_shows_no_more_than_that(name: str) -> None:
    (filters,) = yaml.safe_load(SHOWN["Envoy"])["http_filters"]
    assert not any(_fits(pattern, name) for pattern in filters["typed_config"]["allowed_headers"]["patterns"])


@pytest.mark.parametrize(
    "name", ["X-Original-URI", "X-Original-Method", "X-Real-IP", "Forwarded", "Authorization", "DPoP"]
)
def test_nginx_passes_no_field_on_that_it_does_not_set(name: str) -> None:
    server, _, _ = SHOWN["nginx"].partition("location /")
    assert re.search(rf'^    proxy_set_header {name} +"";$', server, re.MULTILINE)
