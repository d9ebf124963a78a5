"""Whatever bytes arrive, the answer is a known refusal or a token: never a 5xx, never another form."""

import base64
from urllib.parse import quote_from_bytes

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gateway.world import PASSWORDS, PUBLIC_URL, World

BOUNDED = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
OAUTH_ERRORS = {
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_target",
}
PROBLEMS = {"not_found", "tenant_not_found", "path_not_canonical", "method_not_allowed"}
FORM = b"application/x-www-form-urlencoded"

_FIELD_BYTES = st.binary(max_size=60).filter(lambda value: not set(value) & set(b"\r\n\0"))
_NAMES = st.one_of(
    st.sampled_from(
        [b"grant_type", b"username", b"password", b"scope", b"client_id", b"client_secret", b"refresh_token"]
    ),
    st.just(b"resource"),
    st.binary(max_size=8),
)
_VALUES = st.one_of(
    st.sampled_from([b"password", b"client_credentials", b"refresh_token", b"alice", b"spa", b"web", b""]),
    st.just(PASSWORDS["acme"].replace(" ", "+").encode()),
    st.binary(max_size=40),
    st.binary(max_size=40).map(lambda value: quote_from_bytes(value).encode()),
)
_PAIRS = st.lists(st.tuples(_NAMES, _VALUES), max_size=8)
_BODIES = st.one_of(st.binary(max_size=300), _PAIRS.map(lambda pairs: b"&".join(n + b"=" + v for n, v in pairs)))
_SEGMENTS = st.one_of(
    st.sampled_from([b"t", b"acme", b"token", b"jwks", b".well-known", b"openid-configuration", b"", b"."]),
    st.binary(max_size=12).map(lambda value: quote_from_bytes(value).encode()),
)


def is_known(answer: httpx.Response) -> bool:
    if answer.status_code == 200:
        return bool(answer.json()["token_type"] == "Bearer")
    body = answer.json()
    return bool(
        answer.status_code in (400, 401)
        and set(body) == {"error", "error_description"}
        and body["error"] in OAUTH_ERRORS
        and answer.headers["cache-control"] == "no-store"
        and (answer.status_code == 401) == ("www-authenticate" in answer.headers)
    )


@BOUNDED
@given(body=_BODIES)
async def test_any_body_as_a_form(world: World, body: bytes) -> None:
    answer = await world.post(body)

    assert is_known(answer), answer.text


@BOUNDED
@given(content_type=_FIELD_BYTES, authorization=_FIELD_BYTES, origin=_FIELD_BYTES, length=_FIELD_BYTES)
async def test_any_bytes_as_header_fields(
    world: World, content_type: bytes, authorization: bytes, origin: bytes, length: bytes
) -> None:
    headers = [
        (b"content-type", content_type),
        (b"authorization", authorization),
        (b"origin", origin),
        (b"content-length", length),
        (b"x-forwarded-for", length),
    ]
    answer = await world.post(b"grant_type=password&username=alice&password=x", headers=headers)

    assert is_known(answer), answer.text
    assert "access-control-allow-origin" not in answer.headers


@BOUNDED
@given(credentials=_FIELD_BYTES, scheme=st.sampled_from([b"Basic ", b"basic\t", b""]), encoded=st.booleans())
async def test_any_bytes_as_basic(world: World, credentials: bytes, scheme: bytes, encoded: bool) -> None:
    value = scheme + (base64.b64encode(credentials) if encoded else credentials)
    headers = [(b"content-type", FORM), (b"authorization", value)]
    answer = await world.post(b"grant_type=client_credentials", headers=headers)

    assert is_known(answer), answer.text


@BOUNDED
@given(segments=st.lists(_SEGMENTS, max_size=5), method=st.sampled_from(["GET", "POST", "OPTIONS", "HEAD"]))
async def test_any_path(world: World, segments: list[bytes], method: str) -> None:
    url = httpx.URL(PUBLIC_URL).copy_with(raw_path=b"/" + b"/".join(segments))
    async with world.client() as client:
        answer = await client.send(client.build_request(method, url))

    assert answer.status_code < 500
    if answer.status_code >= 400 and method != "HEAD":
        body = answer.json()
        assert body.get("code") in PROBLEMS or body.get("error") in OAUTH_ERRORS
