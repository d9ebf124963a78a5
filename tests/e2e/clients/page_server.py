"""The files of a page that runs in the browser: static, but for what its developer registered."""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.e2e.clients.loopback import Handler, on_port, serving

_FOLDER = Path(__file__).parent
_LIBRARY = "node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js"


def serving_page(
    port: int, registration: Mapping[str, Any], name: str = "oidc_client_ts"
) -> AbstractContextManager[None]:
    """The page of this name, on this port of loopback, while the ``with`` lasts."""
    told = json.dumps(registration).encode()
    page = (f"{name}.html", "text/html")
    files = {
        **dict.fromkeys(("/", "/callback", "/goodbye"), page),
        f"/{name}.mjs": (f"{name}.mjs", "text/javascript"),
        "/oidc-client-ts.js": (_LIBRARY, "text/javascript"),
    }

    class Files(Handler):
        def do_GET(self) -> None:  # noqa: N802 - http.server's name
            path = urlsplit(self.path).path
            if path == "/registration.json":
                self.answer(told, "application/json")
            else:
                file, kind = files[path]
                self.answer((_FOLDER / file).read_bytes(), kind)

    return serving(on_port(port, Files))
