"""Every grant times everything that can go wrong with all of them alike: no cell is empty.

A cell says how it is refused, or why there can be no such thing. A refusal is the answer, one event with its reason and
no secret in any log; and where the grant is its owner's still, it is good for one use afterwards.
"""

import json
import pkgutil
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from importlib import import_module

import httpx
import pytest
from structlog.testing import capture_logs

from gateway.oauth import grants
from gateway.oauth.grants.browser_session import BROWSER_SESSION
from tests.gateway.oauth.authorizing import first_party, openid
from tests.gateway.oauth.matrix import ROWS, Row
from tests.gateway.oauth.mishaps import COLUMNS, Held, Proof
from tests.gateway.oauth.presenting import introspect
from tests.gateway.world import World


@dataclass(frozen=True)
class Refused:
    """``reason`` is the event's. ``stays``: it is its owner's as before. ``takes_back``: what it earned is gone."""

    status: int
    error: str
    reason: str
    stays: bool = False
    takes_back: bool = False


@dataclass(frozen=True)
class NoWider:
    """``scope`` says nothing here: there is what was granted, and no more."""


@dataclass(frozen=True)
class Impossible:
    why: str


Cell = Refused | NoWider | Impossible

SUSPENDED = Refused(404, "tenant_not_found", "tenant_suspended", stays=True)
NO_PROOF = Refused(401, "invalid_client", "client_secret_wrong", stays=True)
NO_REDIRECT = Impossible("nothing is redirected, so the request has no redirect_uri")
NO_USER = Impossible("a client acts for itself: there is no user in it")

MATRIX: Mapping[str, Mapping[str, Cell]] = {
    "authorization_code": {
        "replayed": Refused(400, "invalid_grant", "code_replayed", takes_back=True),
        "other client": Refused(400, "invalid_grant", "client_mismatch", stays=True),
        "other tenant": Refused(400, "invalid_grant", "code_unknown", stays=True),
        "wrong redirect URI": Refused(400, "invalid_grant", "redirect_uri_mismatch", stays=True),
        "wider scope": NoWider(),
        "expired": Refused(400, "invalid_grant", "code_expired"),
        "revoked": Refused(400, "invalid_grant", "session_ended"),
        "disabled user": Refused(400, "invalid_grant", "user_disabled"),
        "suspended tenant": SUSPENDED,
        "wrong client authentication": NO_PROOF,
    },
    "authorization_code by PAR": {
        "replayed": Refused(400, "invalid_request_uri", "request_uri_unknown"),
        "other client": Refused(400, "invalid_request_uri", "client_mismatch", stays=True),
        "other tenant": Refused(400, "invalid_request_uri", "request_uri_unknown", stays=True),
        "wrong redirect URI": Refused(400, "invalid_request", "redirect_uri_unregistered", stays=True),
        "wider scope": Refused(400, "invalid_scope", "scope_not_allowed", stays=True),
        "expired": Refused(400, "invalid_request_uri", "request_uri_unknown"),
        "revoked": Refused(400, "invalid_grant", "session_ended"),
        "disabled user": Refused(400, "invalid_grant", "user_disabled"),
        "suspended tenant": SUSPENDED,
        "wrong client authentication": NO_PROOF,
    },
    "refresh_token": {
        "replayed": Refused(400, "invalid_grant", "refresh_token_reused", takes_back=True),
        "other client": Refused(400, "invalid_grant", "client_mismatch", stays=True),
        "other tenant": Refused(400, "invalid_grant", "refresh_token_unknown", stays=True),
        "wrong redirect URI": NO_REDIRECT,
        "wider scope": Refused(400, "invalid_scope", "scope_not_granted", stays=True),
        "expired": Refused(400, "invalid_grant", "refresh_expired"),
        "revoked": Refused(400, "invalid_grant", "family_revoked"),
        "disabled user": Refused(400, "invalid_grant", "user_disabled"),
        "suspended tenant": SUSPENDED,
        "wrong client authentication": NO_PROOF,
    },
    "client_credentials": {
        "replayed": Impossible("a secret proves its client at every call; what counts once is in the next row"),
        "other client": Refused(401, "invalid_client", "client_secret_wrong", stays=True),
        "other tenant": Refused(401, "invalid_client", "client_secret_wrong", stays=True),
        "wrong redirect URI": NO_REDIRECT,
        "wider scope": Refused(400, "invalid_scope", "invalid_scope", stays=True),
        "expired": Refused(401, "invalid_client", "client_secret_wrong"),
        "revoked": Refused(401, "invalid_client", "client_secret_wrong"),
        "disabled user": NO_USER,
        "suspended tenant": SUSPENDED,
        "wrong client authentication": NO_PROOF,
    },
    "client_credentials by private_key_jwt": {
        "replayed": Refused(400, "invalid_client", "assertion_replayed"),
        "other client": Refused(400, "invalid_client", "assertion_of_another_client", stays=True),
        "other tenant": Refused(400, "invalid_client", "assertion_audience_mismatch", stays=True),
        "wrong redirect URI": NO_REDIRECT,
        "wider scope": Refused(400, "invalid_scope", "invalid_scope"),
        "expired": Refused(400, "invalid_client", "assertion_token_expired"),
        "revoked": Refused(400, "invalid_client", "assertion_not_signed"),
        "disabled user": NO_USER,
        "suspended tenant": SUSPENDED,
        "wrong client authentication": Refused(400, "invalid_client", "assertion_not_signed", stays=True),
    },
    "device_code": {
        "replayed": Refused(400, "invalid_grant", "device_code_used"),
        "other client": Refused(400, "invalid_grant", "client_mismatch", stays=True),
        "other tenant": Refused(400, "invalid_grant", "device_code_unknown", stays=True),
        "wrong redirect URI": NO_REDIRECT,
        "wider scope": NoWider(),
        "expired": Refused(400, "expired_token", "device_code_expired"),
        "revoked": Refused(400, "invalid_grant", "session_ended"),
        "disabled user": Refused(400, "invalid_grant", "user_disabled"),
        "suspended tenant": SUSPENDED,
        "wrong client authentication": NO_PROOF,
    },
    "password": {
        "replayed": Impossible("a password is there for every login, and each earns a session of its own"),
        "other client": Refused(400, "unauthorized_client", "grant_type_not_allowed", stays=True),
        "other tenant": Refused(400, "invalid_grant", "wrong_password", stays=True),
        "wrong redirect URI": NO_REDIRECT,
        "wider scope": Refused(400, "invalid_scope", "invalid_scope", stays=True),
        "expired": Impossible("a password has no end of its own; what it earns has"),
        "revoked": Refused(400, "invalid_grant", "wrong_password"),
        "disabled user": Refused(400, "invalid_grant", "user_disabled", stays=True),
        "suspended tenant": SUSPENDED,
        "wrong client authentication": NO_PROOF,
    },
    "mfa-otp": {
        "replayed": Refused(400, "invalid_grant", "mfa_token_unknown"),
        "other client": Refused(400, "invalid_grant", "mfa_token_unknown", stays=True),
        "other tenant": Refused(400, "invalid_grant", "mfa_token_unknown", stays=True),
        "wrong redirect URI": NO_REDIRECT,
        "wider scope": NoWider(),
        "expired": Refused(400, "invalid_grant", "mfa_token_unknown"),
        "revoked": Refused(400, "invalid_grant", "password_changed_meanwhile"),
        "disabled user": Refused(400, "invalid_grant", "user_disabled", stays=True),
        "suspended tenant": SUSPENDED,
        "wrong client authentication": NO_PROOF,
    },
    "token_exchange": {
        "replayed": Impossible("an access token is for many uses; what comes of it ends with it"),
        "other client": Refused(400, "invalid_request", "subject_token_foreign", stays=True),
        "other tenant": Refused(400, "invalid_request", "subject_tenant_mismatch", stays=True),
        "wrong redirect URI": NO_REDIRECT,
        "wider scope": Refused(400, "invalid_scope", "scope_not_granted", stays=True),
        "expired": Refused(400, "invalid_request", "subject_token_expired"),
        "revoked": Refused(400, "invalid_request", "subject_token_revoked"),
        "disabled user": Refused(400, "invalid_request", "subject_token_revoked"),
        "suspended tenant": SUSPENDED,
        "wrong client authentication": NO_PROOF,
    },
}


def _cells(kind: type[Refused | NoWider]) -> list[tuple[str, str]]:
    return [(row, name) for row, cells in MATRIX.items() for name, cell in cells.items() if isinstance(cell, kind)]


async def _held(world: World, grant: str) -> Held:
    for fixture in (world.acme, world.globex):
        await openid(world, fixture)
        await first_party(world, fixture)
    return await ROWS[grant].hold(world)


# -- nothing is left out


def test_no_cell_is_empty() -> None:
    assert MATRIX.keys() == ROWS.keys()
    for grant, cells in MATRIX.items():
        assert cells.keys() == COLUMNS.keys(), grant
        assert not [name for name, cell in cells.items() if isinstance(cell, Impossible) and not cell.why], grant


async def test_every_grant_has_a_row(world: World) -> None:
    """Each is a module of its package, and a dataclass that says which grant type it is."""
    found = set()
    for module in pkgutil.iter_modules(grants.__path__):
        for kind in vars(import_module(f"{grants.__name__}.{module.name}")).values():
            if isinstance(kind, type) and is_dataclass(kind):
                found |= {each.default for each in fields(kind) if each.name == "grant_type"} - {MISSING}
    found.remove(BROWSER_SESSION)  # the gateway's own, without a client: tests/gateway/browser_sessions
    assert (await world.post({"grant_type": BROWSER_SESSION})).json()["error"] == "unsupported_grant_type"
    assert found == {row.grant_type for row in ROWS.values()}
    for grant_type in found:
        assert (await world.post({"grant_type": grant_type})).json()["error"] != "unsupported_grant_type"


# -- the cells


@pytest.mark.parametrize(("grant", "mishap"), _cells(Refused))
async def test_a_mishap_is_refused(world: World, caplog: pytest.LogCaptureFixture, grant: str, mishap: str) -> None:
    row, cell, earned = ROWS[grant], MATRIX[grant][mishap], []
    assert isinstance(cell, Refused)
    with capture_logs() as lines:
        held = await _held(world, grant)

        async def use(*, to: str = "acme", proof: Proof | None = None, **said: str) -> httpx.Response:
            answer = await held.use(to=to, proof=proof, **said)
            if answer.status_code == 200:
                earned.append(str(answer.json()["access_token"]))
            return answer

        answer = await row.own.get(mishap, COLUMNS[mishap])(world, replace(held, use=use))
        here, elsewhere = await world.events(), await world.events(world.globex)

    _is_the_answer(answer, cell)
    told = [event for event in [*here, *elsewhere] if event.get("request_id") == answer.headers["x-request-id"]]
    assert [(event["outcome"], event["reason"]) for event in told] == [("refused", cell.reason)]
    logs = json.dumps([*here, *elsewhere]) + repr(lines) + caplog.text
    for secret in (held.secret, *(fixture.secret for fixture in (world.acme, world.globex))):
        assert secret not in logs
    await world.snapshot.poll()
    for token in earned:
        assert (await introspect(world, token)).json()["active"] is not cell.takes_back
    if cell.stays:
        await _is_good_for_one_use(row, held)
    else:
        assert (await held.use()).status_code != 200


@pytest.mark.parametrize(("grant", "mishap"), _cells(NoWider))
async def test_what_was_granted_gets_no_wider(world: World, grant: str, mishap: str) -> None:
    answer = await COLUMNS[mishap](world, await _held(world, grant))
    assert (answer.status_code, answer.json()["scope"]) == (200, "orders:read")


def _is_the_answer(answer: httpx.Response, cell: Refused) -> None:
    assert answer.status_code == cell.status, answer.text
    if answer.headers["content-type"].startswith("text/html"):
        assert cell.error in answer.text
        assert "location" not in answer.headers
    else:
        body = answer.json()
        assert body.get("error", body.get("code")) == cell.error, answer.text


async def _is_good_for_one_use(row: Row, held: Held) -> None:
    first, second = await held.use(), await held.use()
    assert first.status_code == 200, first.text
    match row.then:
        case "nothing":
            assert second.status_code == 400
        case "the same successor":
            assert second.json()["refresh_token"] == first.json()["refresh_token"]
        case "as before":
            assert second.status_code == 200
