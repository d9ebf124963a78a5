"""Client metadata (RFC 7591 section 2): what cannot be registered, and what is no metadata at all."""

from typing import Any

import pytest

from tests.gateway.oauth.registering import METADATA, allow, post
from tests.gateway.world import World

KEY = {"kty": "EC", "crv": "P-256", "kid": "1", "x": "a" * 43, "y": "b" * 43}
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"redirect_uris": []}, "invalid_redirect_uri", ""),
    ({"redirect_uris": None}, "invalid_redirect_uri", ""),
    ({"redirect_uris": "https://partner.example/cb"}, "invalid_redirect_uri", ""),
    ({"redirect_uris": [1]}, "invalid_redirect_uri", ""),
    ({"redirect_uris": ["http://partner.example/cb"]}, "invalid_redirect_uri", ""),
    ({"redirect_uris": ["https://partner.example/cb#x"]}, "invalid_redirect_uri", ""),
    ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri", ""),
    ({"redirect_uris": ["https://app.test@@evil.test/cb"]}, "invalid_redirect_uri", ""),
    ({"redirect_uris": [f"https://partner.example/{number}" for number in range(21)]}, "invalid_redirect_uri", ""),
    ({"token_endpoint_auth_method": "client_secret_jwt"}, "invalid_client_metadata", "token_endpoint_auth_method"),
    ({"token_endpoint_auth_method": "client_secret"}, "invalid_client_metadata", "token_endpoint_auth_method"),
    ({"token_endpoint_auth_method": "tls_client_auth"}, "invalid_client_metadata", "token_endpoint_auth_method"),
    ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata", ""),
    ({"grant_types": ["password"]}, "invalid_client_metadata", "grant_types"),
    ({"grant_types": ["client_credentials"]}, "invalid_client_metadata", "grant_types"),
    ({"grant_types": ["implicit", "authorization_code"]}, "invalid_client_metadata", "grant_types"),
    (
        {"grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"]},
        "invalid_client_metadata",
        "grant_types",
    ),
    ({"grant_types": "authorization_code"}, "invalid_client_metadata", "grant_types"),
    ({"response_types": ["code", "token"]}, "invalid_client_metadata", "response_types"),
    ({"response_types": []}, "invalid_client_metadata", "response_types"),
    ({"grant_types": [DEVICE], "response_types": ["code"]}, "invalid_client_metadata", "response_types"),
    ({"scope": "openid orders:read"}, "invalid_client_metadata", "scope"),
    ({"scope": "groups"}, "invalid_client_metadata", "scope"),
    ({"scope": ["openid"]}, "invalid_client_metadata", "scope"),
    ({"client_name": ""}, "invalid_client_metadata", "client_name"),
    ({"client_name": "   "}, "invalid_client_metadata", "client_name"),
    ({"client_name": " .-' "}, "invalid_client_metadata", "client_name"),
    ({"client_name": "\u3164"}, "invalid_client_metadata", "client_name"),
    ({"client_name": "two\nlines"}, "invalid_client_metadata", "client_name"),
    ({"client_name": "n" * 201}, "invalid_client_metadata", "client_name"),
    ({"client_uri": "http://partner.example"}, "invalid_client_metadata", "client_uri"),
    ({"logo_uri": "javascript:alert(1)"}, "invalid_client_metadata", "logo_uri"),
    ({"policy_uri": 7}, "invalid_client_metadata", "policy_uri"),
    ({"tos_uri": "https://user@partner.example"}, "invalid_client_metadata", "tos_uri"),
    ({"client_uri": "https://bank.example"}, "invalid_client_metadata", "client_uri"),
    ({"logo_uri": "https://cdn.partner.example/logo.png"}, "invalid_client_metadata", "logo_uri"),
    ({"policy_uri": "https://partner.example.evil.test/"}, "invalid_client_metadata", "policy_uri"),
    (
        {"tos_uri": "https://com.partner/terms", "redirect_uris": ["com.partner:/callback"]},
        "invalid_client_metadata",
        "tos_uri",
    ),
    ({"jwks_uri": "http://169.254.169.254/keys"}, "invalid_client_metadata", "jwks_uri"),
    ({"jwks": {"keys": []}}, "invalid_client_metadata", "jwks"),
    ({"jwks": {"keys": [KEY | {"d": "c"}]}}, "invalid_client_metadata", "jwks"),
    ({"jwks": {"keys": [KEY | {"kid": "\0"}]}}, "invalid_client_metadata", "jwks"),
    ({"jwks": {"keys": [KEY]}, "jwks_uri": "https://partner.example/jwks"}, "invalid_client_metadata", ""),
    ({"post_logout_redirect_uris": ["http://evil.test"]}, "invalid_client_metadata", "post_logout_redirect_uris"),
    ({"backchannel_logout_uri": "ftp://partner.example"}, "invalid_client_metadata", "backchannel_logout_uri"),
    ({"dpop_bound_access_tokens": "yes"}, "invalid_client_metadata", "dpop_bound_access_tokens"),
]


async def test_what_cannot_be_registered_is_refused_and_the_member_is_named_rfc7591_3_2_2(each_world: World) -> None:
    token = await allow(each_world)
    for changes, error, member in REFUSED:
        answer = await post(each_world, token, METADATA | changes)
        assert (answer.status_code, answer.json()["error"]) == (400, error), changes
        assert answer.json()["error_description"].endswith(f" It is about {member}." if member else "."), changes
    async with each_world.store() as store:
        assert await store.clients.registered_themselves() == 0


@pytest.mark.parametrize(
    "options",
    [
        {"content": b"{", "headers": {"Content-Type": "application/json"}},
        {"content": b"[]", "headers": {"Content-Type": "application/json"}},
        {"content": b'{"a": 1, "a": 2}', "headers": {"Content-Type": "application/json"}},
        {"content": b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}", "headers": {"Content-Type": "application/json"}},
        {"content": b'{"client_name": "\\ud800"}', "headers": {"Content-Type": "application/json"}},
        {"content": b'{"client_name": "\xff"}', "headers": {"Content-Type": "application/json"}},
        {"content": b"", "headers": {"Content-Type": "application/json"}},
        {"content": b"{}", "headers": {"Content-Type": "text/plain"}},
        {"data": {"client_name": "A form"}},
    ],
    ids=lambda options: repr(options)[:40],
)
async def test_what_is_no_json_object_with_one_reading_is_invalid_request(
    world: World, options: dict[str, Any]
) -> None:
    answer = await post(world, await allow(world), **options)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_body_over_64_kib_is_refused(world: World) -> None:
    answer = await post(world, await allow(world), METADATA | {"unheard_of": "x" * 70_000})

    assert answer.status_code == 413
