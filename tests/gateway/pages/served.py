"""Responses served to a real browser: made beforehand, sent with the headers that they have."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from starlette.responses import Response

from gateway.pages.stylesheets import Sheet, brand_sheet, icon, page_sheet
from tenants.tenant import Tenant


@contextmanager
def served(responses: Mapping[str, Response]) -> Iterator[str]:
    """Answer these paths (without query) until the end of the block, and say at which origin."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            response = responses.get(self.path.partition("?")[0])
            if response is None:
                self.send_error(404)
                return
            self.send_response(response.status_code)
            for name, value in response.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(bytes(response.body))

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the standard library
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def assets(tenant: Tenant, logo: Sheet) -> dict[str, Response]:
    """What a page of this tenant loads, by its path."""
    files = {
        "yett.css": page_sheet(),
        "icon.svg": icon(),
        "form_post.js": Sheet("text/javascript", b"", "0"),  # the page is to be looked at, not to be left
        "brand.css": brand_sheet(tenant.branding.accent),
        "logo": logo,
    }
    return {
        f"/t/{tenant.slug}/assets/{name}": Response(file.body, media_type=file.media_type)
        for name, file in files.items()
    }
