"""The files of a page that runs in the browser: static, but for what its developer registered."""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.e2e.clients.loopback import Handler, on_port, serving

_FOLDER = Path(__file__).parent
_PAGE = ("oidc_client_ts.html", "text/html")
_FILES = {
    "/": _PAGE,
    "/callback": _PAGE,
    "/goodbye": _PAGE,
    "/oidc_client_ts.mjs": ("oidc_client_ts.mjs", "text/javascript"),
    "/oidc-client-ts.js": ("node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js", "text/javascript"),
}


def serving_page(port: int, registration: Mapping[str, Any]) -> AbstractContextManager[None]:
    """On this port of loopback, while the ``with`` lasts."""
    told = json.dumps(registration).encode()

    class Files(Handler):
        def do_GET(self) -> None:  # noqa: N802 - http.server's name
            path = urlsplit(self.path).path
            if path == "/registration.json":
                self.answer(told, "application/json")
            else:
                name, kind = _FILES[path]
                self.answer((_FOLDER / name).read_bytes(), kind)

    return serving(on_port(port, Files))
