"""nginx in front of an API, with the very configuration that docs/forward-auth.md shows; only its addresses differ."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.e2e.eventually import eventually
from tests.e2e.ports import free_port

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
{shown}
    server {{
        listen 127.0.0.1:{port};
        server_name open.example.com;
        location / {{ return 200 open; }}
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
    return _WRAPPED.format(folder=folder, shown=shown, port=port)


@contextmanager
def nginx(folder: Path, *, yett: int, forward_auth: int, api: int) -> Iterator[int]:
    """Its port. What it wrote into its log of errors is for the test to read, in ``error.log`` of the folder."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    assert program is not None, "nginx is not installed"
    port, config = free_port(), folder / "nginx.conf"
    written = configuration(folder, port=port, yett=yett, forward_auth=forward_auth, api=api)
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
                f"http://127.0.0.1:{port}/", headers={"Host": "open.example.com"}, trust_env=False
            ).is_success
        except httpx.TransportError:
            return False

    try:
        eventually(ready, within=10, what="nginx is ready")
        yield port
    finally:
        process.terminate()
        process.wait(10)
