"""Proxies of other makes as they ask: each request with what its maker's documentation says that it sends."""

from tests.gateway.proxy.harness import HOST, Client, request

PROXY = "10.0.0.9"
CLIENT = "192.0.2.7"
HTTPS = ("x-forwarded-proto", "https")

Header = tuple[str, str]


def nginx(uri: str = "/orders/7", *more: Header, method: str = "GET", token: str | None = "alice") -> Client:
    """``auth_request`` with the configuration that docs/forward-auth.md shows."""
    return request(
        *("GET", "/forward-auth", ("x-original-method", method), ("x-original-uri", uri), HTTPS),
        *(("x-forwarded-for", CLIENT), *more),
        token=token,
        peer=PROXY,
    )


def traefik(
    uri: str = "/orders/7", *more: Header, method: str = "GET", host: str = HOST, token: str | None = "alice"
) -> Client:
    """``ForwardAuth``: a GET with the client's fields, and the address asked for in ``Host``."""
    fields = ("x-forwarded-method", method), HTTPS, ("x-forwarded-host", host), ("x-forwarded-uri", uri)
    return request(
        *("GET", "/forward-auth", *fields, ("x-forwarded-for", CLIENT), *more),
        token=token,
        host="yett:8082",
        peer=PROXY,
    )


def caddy(uri: str = "/orders/7", *more: Header, method: str = "GET", token: str | None = "alice") -> Client:
    """``forward_auth``: as Traefik, with the client's ``Host``."""
    fields = ("x-forwarded-method", method), HTTPS, ("x-forwarded-host", HOST), ("x-forwarded-uri", uri)
    return request("GET", "/forward-auth", *fields, ("x-forwarded-for", CLIENT), *more, token=token, peer=PROXY)


def envoy(
    path: str = "/orders/7", *more: Header, method: str = "GET", query: str = "", token: str | None = "alice"
) -> Client:
    """``ext_authz`` over HTTP with ``path_prefix``; Envoy adds its own address to where the request came from."""
    return request(
        *(method, f"/forward-auth{path}", HTTPS, ("x-forwarded-for", f"{CLIENT}, {PROXY}"), ("content-length", "0")),
        *more,
        query=query,
        token=token,
        peer=PROXY,
    ).say()
