"""Every asynchronous test here runs on uvloop, which is served in production, and on asyncio's own loop; those in which
no byte goes over a socket run on the first.
"""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

_IN_MEMORY = {"test_edge_says_the_same_however_the_bytes_are_cut"}


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.name in _IN_MEMORY:
        return {"uvloop": uvloop.new_event_loop}
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
