"""What yett is measured beside: the upstream itself (nginx), and HAProxy's ``jwt_verify`` or Fastify in front of it; or
nginx, which asks yett about each request (``auth_request``).

All get what makes them fast: one process, connections kept alive on both sides. All write an access log, as yett does.
HAProxy does the least that can be called a check, one signature, and Fastify little more; yett also checks issuer,
audience, scope and revocation, and says to the upstream who it is.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from processes import Running, free_port, running

NODE_PEERS = Path(__file__).with_name("node_peers")
BODY = (
    '{"id": 7, "customer": "Ada Lovelace", "state": "shipped", "lines": [{"sku": "A-1001", "quantity": 2}, '
    '{"sku": "B-2002", "quantity": 1}], "total": "149.00", "currency": "EUR"}'
)
"""What the upstream answers to all but ``/bytes/SIZE``, which has as many bytes."""

SIZES = (1024, 64 * 1024)

PAGE = Path(__file__).parents[2] / "docs" / "forward-auth.md"
_SHOWN = re.compile(r"^```nginx\n(.*?)^```$", re.MULTILINE | re.DOTALL)

_NGINX = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log warn;
events {{ worker_connections 4096; }}
http {{
    access_log {access_log};
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/client-body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{servers}
}}
"""
_UPSTREAM = """\
    server {{
        listen 127.0.0.1:{port} backlog=2048;
        location / {{ default_type application/json; return 200 '{body}'; }}
        location /bytes/ {{ default_type application/octet-stream; alias {folder}/bytes/; open_file_cache max=10; }}
    }}
"""

_HAPROXY = """\
global
    log stdout format raw local0
    nbthread 1
    maxconn 8192
defaults
    mode http
    log global
    option httplog
    option http-keep-alive
    http-reuse always
    timeout connect 2s
    timeout client 60s
    timeout server 30s
frontend api
    bind 127.0.0.1:{port}
    http-request deny deny_status 401 unless {{ http_auth_bearer,jwt_verify("ES256","{public_key}") -m int 1 }}
    default_backend upstream
backend upstream
    server nginx 127.0.0.1:{upstream}
"""


@contextmanager
def nginx(folder: Path, *, cpu: int) -> Iterator[Running]:
    """The static upstream."""
    port = free_port()
    (folder / "bytes").mkdir()
    for size in SIZES:
        (folder / "bytes" / str(size)).write_bytes(b"x" * size)
    servers = _UPSTREAM.format(folder=folder, port=port, body=BODY)
    with _nginx(folder, servers, access_log="off", cpu=cpu, port=port) as upstream:
        yield upstream


@contextmanager
def auth_request(folder: Path, *, upstream: int, gateway: Running, forward_auth: int, cpu: int) -> Iterator[Running]:
    """nginx as docs/forward-auth.md shows it, with an access log, on the CPU of the gateway that it asks.

    ``forward_auth`` is the port where that one is asked.
    """
    port, place = free_port(), folder / "front"
    place.mkdir()
    page = PAGE.read_text(encoding="utf-8")
    servers = as_shown(page, port=port, upstream=upstream, gateway=gateway.port, forward_auth=forward_auth)
    with _nginx(place, servers, access_log=str(place / "access.log"), cpu=cpu, port=port) as front:
        yield replace(front, helped_by=(gateway,))


def as_shown(page: str, *, port: int, upstream: int, gateway: int, forward_auth: int) -> str:
    """The configuration on that page, at these ports, for the gateway's own API host, without TLS.

    One thing is added: connections to the API are kept, as to the gateway. Raises ``ValueError`` where the page has
    changed.
    """
    shown = _SHOWN.findall(page)
    if len(shown) != 1:
        raise ValueError("docs/forward-auth.md shows no configuration of nginx, or several")
    changed: Mapping[str, str] = {
        "listen 443 ssl;": f"listen 127.0.0.1:{port} backlog=2048;",
        "server 127.0.0.1:8080;": f"server 127.0.0.1:{gateway};",
        "server 127.0.0.1:8082; keepalive 32;": f"server 127.0.0.1:{forward_auth}; keepalive 256;",
        "server 127.0.0.1:8000;": f"server 127.0.0.1:{upstream}; keepalive 256;",
        "server_name api.example.com;": 'proxy_http_version 1.1;\n    proxy_set_header Connection "";',
    }
    config: str = shown[0]
    for written, here in changed.items():
        if config.count(written) != 1:
            raise ValueError(f"docs/forward-auth.md does not show once: {written}")
        config = config.replace(written, here)
    return config.replace("$server_name", f"127.0.0.1:{gateway}")


@contextmanager
def _nginx(folder: Path, servers: str, *, access_log: str, cpu: int, port: int) -> Iterator[Running]:
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, servers=servers, access_log=access_log), encoding="utf-8")
    command = ["nginx", "-p", str(folder), "-e", str(folder / "nginx-error.log"), "-c", str(config)]
    with running("nginx", command, cpu=cpu, port=port, log=folder / "nginx.log") as process:
        yield process


@contextmanager
def haproxy(folder: Path, *, upstream: int, public_key: str, cpu: int) -> Iterator[Running]:
    """HAProxy with one thread. ``public_key`` is PEM: the key that the token was signed with."""
    port = free_port()
    key, config = folder / "tenant.pem", folder / "haproxy.cfg"
    key.write_text(public_key, encoding="ascii")
    config.write_text(_HAPROXY.format(port=port, upstream=upstream, public_key=key), encoding="utf-8")
    with running(
        "haproxy", ["haproxy", "-db", "-f", str(config)], cpu=cpu, port=port, log=folder / "haproxy.log"
    ) as peer:
        yield peer


@contextmanager
def fastify(folder: Path, *, upstream: int, public_key: str, cpu: int) -> Iterator[Running]:
    """Fastify with ``@fastify/jwt``, which remembers verified tokens, and ``@fastify/http-proxy``, in one process."""
    port, settings = free_port(), folder / "fastify.json"
    told = {"port": port, "upstream": upstream, "publicKey": public_key, "log": str(folder / "fastify-access.log")}
    settings.write_text(json.dumps(told), encoding="utf-8")
    command = ["node", str(NODE_PEERS / "fastify.mjs"), str(settings)]
    environ = {**os.environ, "NODE_ENV": "production"}
    with running("fastify", command, cpu=cpu, port=port, log=folder / "fastify.log", environ=environ) as peer:
        yield peer
