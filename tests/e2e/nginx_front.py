"""nginx in front: of an API, with the very configuration that docs/forward-auth.md shows, but for its addresses; or of
a gateway, with TLS.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx

from tests.e2e.eventually import eventually
from tests.e2e.ports import free_port
from tests.gateway.mail import certificate

PAGE = Path(__file__).resolve().parents[2] / "docs" / "forward-auth.md"
_SHOWN = re.compile(r"^```nginx\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_WRAPPED = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 128; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{servers}
    server {{
        listen 127.0.0.1:{port}{tls};
        server_name open.example.com;
        location / {{ return 200 open; }}
    }}
}}
"""
_TLS_SERVER = """\
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    server {{
        listen 127.0.0.1:{port} ssl;
        location / {{
            proxy_pass http://127.0.0.1:{yett};
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto https;
        }}
    }}
"""


def configuration(folder: Path, *, port: int, yett: int, forward_auth: int, api: int) -> str:
    """What the page shows, at these ports and without TLS, beside another host of the same nginx."""
    (shown,) = _SHOWN.findall(PAGE.read_text(encoding="utf-8"))
    for written, here in {
        "listen 443 ssl;": f"listen 127.0.0.1:{port};",
        "127.0.0.1:8080": f"127.0.0.1:{yett}",
        "127.0.0.1:8082": f"127.0.0.1:{forward_auth}",
        "127.0.0.1:8000": f"127.0.0.1:{api}",
    }.items():
        assert shown.count(written) == 1, written
        shown = shown.replace(written, here)
    return _WRAPPED.format(folder=folder, servers=shown, port=port, tls="")


def nginx(folder: Path, *, yett: int, forward_auth: int, api: int) -> AbstractContextManager[int]:
    """Its port. What it wrote into its log of errors is for the test to read, in ``error.log`` of the folder."""
    port = free_port()
    return _running(folder, port, configuration(folder, port=port, yett=yett, forward_auth=forward_auth, api=api))


def nginx_with_tls(folder: Path, *, yett: int) -> AbstractContextManager[int]:
    """The port of a proxy that ends TLS and says so; for every host."""
    port = free_port()
    made = certificate.make(folder)
    server = _TLS_SERVER.format(port=port, yett=yett, certificate=made.certificate, key=made.key)
    return _running(folder, port, _WRAPPED.format(folder=folder, servers=server, port=port, tls=" ssl"), scheme="https")


@contextmanager
def _running(folder: Path, port: int, written: str, scheme: str = "http") -> Iterator[int]:
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    assert program is not None, "nginx is not installed"
    config = folder / "nginx.conf"
    config.write_text(written, encoding="utf-8")
    with (folder / "nginx.out").open("wb") as out:
        process = subprocess.Popen(
            [program, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )

    def ready() -> bool:
        assert process.poll() is None, (folder / "nginx.out").read_text() + (folder / "error.log").read_text()
        try:
            return httpx.get(
                f"{scheme}://127.0.0.1:{port}/", headers={"Host": "open.example.com"}, trust_env=False, verify=False
            ).is_success
        except httpx.TransportError:
            return False

    try:
        eventually(ready, within=10, what="nginx is ready")
        yield port
    finally:
        process.terminate()
        process.wait(10)
