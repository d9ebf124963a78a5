"""What yett is measured beside: the upstream itself (nginx), and HAProxy's ``jwt_verify`` in front of it.

Both get what makes them fast: one process, no log, connections kept alive on both sides. HAProxy does the least that
can be called a check, one signature; yett also checks issuer, expiry, audience, scope and revocation, and
says to the upstream who it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from processes import Running, free_port, running

BODY = (
    '{"id": 7, "customer": "Ada Lovelace", "state": "shipped", "lines": [{"sku": "A-1001", "quantity": 2}, '
    '{"sku": "B-2002", "quantity": 1}], "total": "149.00", "currency": "EUR"}'
)
"""What the upstream answers, whatever it is asked."""

_NGINX = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/client-body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=2048;
        location / {{ default_type application/json; return 200 '{body}'; }}
    }}
}}
"""

_HAPROXY = """\
global
    nbthread 1
    maxconn 8192
defaults
    mode http
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
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port, body=BODY), encoding="utf-8")
    command = ["nginx", "-p", str(folder), "-e", str(folder / "nginx-error.log"), "-c", str(config)]
    with running("nginx", command, cpu=cpu, port=port, log=folder / "nginx.log") as upstream:
        yield upstream


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
