"""Tests here run on asyncio's own loop and on uvloop's, which differ in how a connection ends; those of what is decided
and of what is written run on uvloop's, which serves.
"""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

_DECISIONS = {
    "test_api_keys",
    "test_cross_origin",
    "test_decisions",
    "test_dpop",
    "test_forward_auth",
    "test_forward_auth_shadow",
    "test_header_rules",
    "test_identity_token",
    "test_pages_of_routes",
    "test_rehearsal",
    "test_resource_metadata",
    "test_rewritten",
    "test_route_limits",
    "test_shadow",
    "test_tenant_upstream",
}


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.path.stem in _DECISIONS:
        return {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}
