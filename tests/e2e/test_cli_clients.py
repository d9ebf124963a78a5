"""``yett client``: everything that a client has is set, changed and shown; what is not named stays as it is."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.administering import last_event, refused
from tests.e2e.conftest import Copy
from tests.e2e.installation import AUDIENCE, Installation

_ACME = ("--tenant", "acme")
_ISSUER = "https://auth.example.com/t/acme"
_KEY = {"kty": "EC", "crv": "P-256", "kid": "of-the-client", "x": "a" * 43, "y": "b" * 43}
_DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


@pytest.fixture(scope="module")
def here(copy_of: Copy) -> Installation:
    """An installation that nobody serves."""
    return copy_of("sqlite")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [_KEY]}), encoding="utf-8")
    return path


def _create(here: Installation, client_id: str, *options: str | Path) -> dict[str, Any]:
    made: dict[str, Any] = here.does("client", "create", *_ACME, client_id, *options)
    return made


def test_everything_that_a_client_has_is_set_and_shown(here: Installation, keys: Path) -> None:
    made = _create(
        here,
        "everything",
        *("--name", "All of it", "--auth-method", "private_key_jwt", "--jwks", keys, "--first-party"),
        *("--grant", "authorization_code", "--grant", "device_code", "--grant", "token_exchange"),
        *("--scope", "openid", "--scope", "orders:read", "--default-scope", "openid"),
        *(
            "--audience",
            AUDIENCE,
            "--redirect-uri",
            "https://app.example.com/cb",
            "--origin",
            "https://app.example.com",
        ),
        *("--require-par", "--require-signed-request", "--dpop-bound", "--signed-introspection"),
        *("--post-logout-redirect-uri", "https://app.example.com/bye"),
        *("--post-logout-redirect-uri", "https://app.example.com/ciao"),
        *("--backchannel-logout-uri", "https://app.example.com/logout"),
        *("--client-uri", "https://app.example.com", "--logo-uri", "https://app.example.com/logo.png"),
        *("--policy-uri", "https://app.example.com/privacy", "--tos-uri", "https://app.example.com/terms"),
        *("--claim", "department=const:Sales", "--claim", "login=user.name"),
    )
    assert made.pop("secret") is None
    assert made.pop("created_at") is None
    shown = here.does("client", "show", *_ACME, "everything")
    assert shown.pop("created_at")
    assert shown == made
    assert shown == {
        "client_id": "everything",
        "name": "All of it",
        "kind": "confidential",
        "auth_method": "private_key_jwt",
        "active": True,
        "first_party": True,
        "registered_itself": False,
        "grant_types": sorted(["authorization_code", _DEVICE, _EXCHANGE]),
        "scopes": ["openid", "orders:read"],
        "default_scopes": ["openid"],
        "audiences": [AUDIENCE],
        "redirect_uris": ["https://app.example.com/cb"],
        "post_logout_redirect_uris": ["https://app.example.com/bye", "https://app.example.com/ciao"],
        "origins": ["https://app.example.com"],
        "jwks": ["of-the-client"],
        "jwks_uri": None,
        "require_par": True,
        "require_signed_request": True,
        "dpop_bound": True,
        "signed_introspection": True,
        "backchannel_logout_uri": "https://app.example.com/logout",
        "claims": ["department=const:Sales", "login=user.name"],
        "client_uri": "https://app.example.com",
        "logo_uri": "https://app.example.com/logo.png",
        "policy_uri": "https://app.example.com/privacy",
        "tos_uri": "https://app.example.com/terms",
    }


def test_a_client_is_public_third_party_and_for_no_api_where_nothing_is_said(here: Installation) -> None:
    made = _create(here, "plain")
    assert (made["kind"], made["auth_method"], made["first_party"], made["secret"]) == ("public", "none", False, None)
    assert made["audiences"] == [_ISSUER]


@pytest.mark.parametrize(
    ("options", "method", "has_secret"),
    [
        (("--confidential",), "client_secret_basic", True),
        (("--auth-method", "client_secret_post"), "client_secret_post", True),
        (("--confidential", "--auth-method", "client_secret_basic"), "client_secret_basic", True),
        (("--auth-method", "private_key_jwt", "--jwks-uri", "https://app.example.com/jwks"), "private_key_jwt", False),
        (("--auth-method", "none"), "none", False),
    ],
)
def test_how_it_proves_itself_decides_its_kind_and_whether_it_gets_a_secret(
    here: Installation, options: tuple[str, ...], method: str, has_secret: bool
) -> None:
    made = _create(here, f"by-{'-'.join(options)}".replace("--", "").replace(":", "").replace("/", ""), *options)
    assert (made["auth_method"], made["kind"]) == (method, "public" if method == "none" else "confidential")
    assert (made["secret"] is not None) is has_secret


def test_configure_changes_what_is_named_and_leaves_the_rest(here: Installation) -> None:
    redirect = ("--redirect-uri", "https://a.example/cb")
    _create(here, "changing", "--audience", AUDIENCE, "--scope", "orders:read", *redirect, "--first-party")
    before = here.does("client", "show", *_ACME, "changing")
    after = here.does(
        *("client", "configure", *_ACME, "changing", "--redirect-uri", "https://b.example/cb", "--third-party"),
        *("--scope", "orders:write", "--scope", "openid", "--claim", "x=user.id", "--grant", "authorization_code"),
    )
    assert {name: value for name, value in after.items() if value != before[name]} == {
        "first_party": False,
        "redirect_uris": ["https://b.example/cb"],
        "scopes": ["openid", "orders:write"],
        "claims": ["x=user.id"],
        "grant_types": ["authorization_code"],
    }
    assert here.does("client", "show", *_ACME, "changing") == after
    event = last_event(here)
    assert (event["type"], event["client_id"]) == ("client.changed", "changing")
    assert event["details"]["changed"] == ["claim_mapping", "first_party", "grant_types", "redirect_uris", "scopes"]

    unset = [part for name in ("scope", "grant", "redirect-uri", "claim") for part in ("--unset", name)]
    emptied = here.does("client", "configure", *_ACME, "changing", *unset)
    assert [emptied[name] for name in ("scopes", "grant_types", "redirect_uris", "claims")] == [[], [], [], []]


def test_what_changes_nothing_is_no_event(here: Installation) -> None:
    _create(here, "same", "--scope", "orders:read")
    event = last_event(here)
    here.does("client", "configure", *_ACME, "same", "--scope", "orders:read", "--third-party", "--auth-method", "none")
    assert last_event(here)["id"] == event["id"]


def test_another_way_to_prove_itself_makes_or_ends_secrets(here: Installation, keys: Path) -> None:
    _create(here, "moving", "--grant", "authorization_code")
    first = here.does("client", "configure", *_ACME, "moving", "--auth-method", "client_secret_basic")
    assert first["secret"].startswith("ycs_")
    assert last_event(here)["details"] == {
        "changed": ["auth_method", "confidential"],
        "secret_added": True,
        "secrets_ended": 0,
    }
    same = here.does("client", "configure", *_ACME, "moving", "--auth-method", "client_secret_post")
    assert "secret" not in same
    here.does("client", "configure", *_ACME, "moving", "--auth-method", "private_key_jwt", "--jwks", keys)
    assert last_event(here)["details"]["secrets_ended"] == 1
    refused(here, "client", "rotate", *_ACME, "moving", says="proves itself by private_key_jwt has no secret")
    told = here.run("client", "configure", *_ACME, "moving", "--auth-method", "client_secret_basic", "--unset", "jwks")
    assert "secret (shown this once): ycs_" in told.err


def test_a_deleted_client_is_gone(here: Installation) -> None:
    _create(here, "going", "--confidential")
    assert here.does("client", "delete", *_ACME, "going") == {"client_id": "going"}
    assert last_event(here)["type"] == "client.deleted"
    refused(here, "client", "show", *_ACME, "going", says="there is no client 'going' in acme")
    refused(here, "client", "delete", *_ACME, "going", says="going")
    refused(here, "client", "configure", *_ACME, "going", "--first-party", says="there is no client 'going' in acme")


def test_a_deleted_client_stands_in_no_longer(here: Installation) -> None:
    _create(here, "standing-in", "--grant", "password", "--default")
    here.does("client", "delete", *_ACME, "standing-in")
    assert here.does("tenant", "show", "acme")["default_client"] is None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--auth-method", "client_secret"), "is not one of"),
        (("--auth-method", "client_secret_jwt"), "is not one of"),
        (("--grant", "implicit"), "is not one of"),
        (("--claim", "department"), "is not a claim and its source"),
        (("--claim", "a=user.id", "--claim", "a=user.name"), "a stands there twice"),
        (("--unset", "client-id"), "is not one of"),
        (("--scope", "a", "--unset", "scope"), "cannot both be meant"),
        ((), "name at least one thing to change"),
    ],
    ids=" ".join,
)
def test_what_is_malformed_is_wrong_usage(here: Installation, options: tuple[str, ...], says: str) -> None:
    result = here.run("client", "configure", *_ACME, "demo-app", *options)
    assert (result.code, result.out) == (2, "")
    assert says in " ".join(result.err.split())


def test_public_and_confidential_at_once_is_wrong_usage(here: Installation) -> None:
    result = here.run("client", "create", *_ACME, "both", "--confidential", "--auth-method", "none")
    assert (result.code, result.out) == (2, "")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--auth-method", "private_key_jwt"), "needs the client's public keys"),
        (("--jwks-uri", "http://app.example.com/jwks"), "jwks_uri is an https address"),
        (("--backchannel-logout-uri", "ftp://app.example.com"), "backchannel_logout_uri is an https address"),
        (("--logo-uri", "javascript:alert(1)"), "logo_uri is an absolute URI"),
        (("--redirect-uri", "http://app.example.com/cb"), "is not a redirect URI"),
        (("--claim", "sub=user.name"), "the claim sub is the protocol's own"),
        (("--claim", "x=user.password"), "is no source of a claim"),
        (("--grant", "client_credentials"), "needs a confidential client"),
        (("--default-scope", "other"), "default scopes are a part"),
    ],
    ids=" ".join,
)
def test_what_no_client_may_have_is_refused_and_nothing_is_changed(
    here: Installation, options: tuple[str, ...], says: str
) -> None:
    before = here.does("client", "show", *_ACME, "demo-app")
    refused(here, "client", "configure", *_ACME, "demo-app", "--first-party", *options, says=says)
    assert here.does("client", "show", *_ACME, "demo-app") == before


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not a JWK set"),
        ("[]", "is not a JWK set"),
        ("{}", "a list of keys"),
        (json.dumps({"keys": [{**_KEY, "d": "c" * 43}]}), "a private part"),
        (json.dumps({"keys": [{**_KEY, "kid": "\0"}]}), "holds no NUL"),
        ('{"keys": [], "keys": [{}]}', "is not a JWK set"),
    ],
)
def test_a_file_of_keys_holds_public_keys(here: Installation, tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "keys.json"
    file.write_text(text, encoding="utf-8")
    refused(here, "client", "configure", *_ACME, "demo-app", "--jwks", file, says=says)


# -- initial access tokens -------------------------------------------------------------------------------------------


def test_initial_access_tokens_are_made_listed_and_taken_back(here: Installation) -> None:
    group = ("client", "registration-token")
    silent = here.run(*group, "create", *_ACME, "--name", "Early")
    assert "does not allow registration" in silent.err
    here.does("tenant", "configure", "acme", "--registration")
    made = here.does(*group, "create", *_ACME, "--name", "Partner", "--uses", "3", "--lifetime", "2d")
    assert made["initial_access_token"].startswith("yia_")
    event = last_event(here)
    assert (event["type"], event["details"]) == ("client.registration_token_created", {"name": "Partner", "uses": 3})
    rows = {row["name"]: row["uses_left"] for row in here.does(*group, "list", *_ACME)}
    assert rows == {"Early": 1, "Partner": 3}
    refused(here, *group, "create", *_ACME, "--name", "Partner", says="'Partner' in acme already")
    assert here.does(*group, "delete", *_ACME, "--name", "Partner") == {"name": "Partner"}
    assert last_event(here)["type"] == "client.registration_token_deleted"
    refused(here, *group, "delete", *_ACME, "--name", "Partner", says="no registration token 'Partner' in acme")
    refused(here, *group, "create", *_ACME, "--name", "Late", "--lifetime", "367d", says="at most 366 days")
    assert here.run(*group, "create", *_ACME, "--name", "Many", "--uses", "0").code == 2
