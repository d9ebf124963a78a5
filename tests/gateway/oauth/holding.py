"""What a client holds that is about to use a grant, one function for each row of the matrix in test_matrix.py.

Owns what is sent and how it is taken back. Not what goes wrong with it (mishaps.py, matrix.py).
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from gateway.oauth.grants.mfa_otp import GRANT_TYPE as MFA_OTP
from tenants.client import DEVICE_CODE, TOKEN_EXCHANGE
from tests.gateway.browser import Browser
from tests.gateway.login.people import code, enrol
from tests.gateway.oauth import signing_client
from tests.gateway.oauth.authorizing import VERIFIER, WEB_CALLBACK, asking, code_of
from tests.gateway.oauth.devices import Device, decide
from tests.gateway.oauth.mishaps import Held, Proof, Use, proof_of
from tests.gateway.oauth.presenting import ACCESS_TOKEN, call
from tests.gateway.oauth.test_same_answer import BCRYPT
from tests.gateway.world import INVOICES, World
from tests.signer import Signer

ASKED = {"client_id": "web", "redirect_uri": WEB_CALLBACK, "scope": "orders:read"}


def _of_form(world: World, form: Mapping[str, str], *, proof: Proof | None = None) -> Use:
    usual = proof_of(world.acme) if proof is None else proof

    async def use(*, to: str = "acme", proof: Proof | None = None, **said: str) -> httpx.Response:
        return await world.post({**form, **(usual if proof is None else proof), **said}, to=to)

    return use


def _logs_out(world: World) -> Callable[[], Awaitable[object]]:
    async def end_sessions() -> None:
        async with world.store() as store:
            await store.sessions.end_all(world.acme.users["alice"])

    return end_sessions


def _other_password(world: World) -> Callable[[], Awaitable[object]]:
    async def set_password() -> None:
        async with world.store() as store:
            await store.credentials.set_password(world.acme.users["alice"], BCRYPT)

    return set_password


def _revokes(world: World, token: str) -> Callable[[], Awaitable[object]]:
    return lambda: call(world, "revoke", {"token": token, **proof_of(world.acme)})


async def _tokens(world: World) -> Mapping[str, str]:
    answer = await world.post({**world.acme.form(scope="orders:read"), **proof_of(world.acme)})
    return dict(answer.json())


# -- authorization_code, by either way to the authorization endpoint


def code_held(world: World, found: str) -> Held:
    form = {"grant_type": "authorization_code", "code": found, "redirect_uri": WEB_CALLBACK, "code_verifier": VERIFIER}
    return Held(_of_form(world, form), found, _logs_out(world), timedelta(minutes=1))


async def authorization_code(world: World) -> Held:
    return code_held(world, await code_of(world, **ASKED))


async def push(world: World, *, proof: Proof | None = None, **said: str) -> httpx.Response:
    return await signing_client.push(world, {**asking(**ASKED), **(proof or proof_of(world.acme)), **said})


async def pushed_request(world: World) -> Held:
    """What the client got for its request. A person who is logged in follows it; then comes the code."""
    request_uri = (await push(world)).json()["request_uri"]
    async with Browser(world) as browser:
        await browser.log_in()
        cookies = dict(browser.client.cookies)

    async def use(*, to: str = "acme", proof: Proof | None = None, **said: str) -> httpx.Response:
        client = proof_of(world.acme) if proof is None else proof
        query = urlencode({"client_id": client["client_id"], "request_uri": request_uri, **said})
        async with world.client(cookies=cookies) as browser:
            answer = await browser.get(f"/t/{to}/authorize?{query}")
        if not answer.headers.get("location", "").startswith(WEB_CALLBACK):
            return answer
        (found,) = parse_qs(urlsplit(answer.headers["location"]).query)["code"]
        return await code_held(world, found).use(to=to, proof=proof)

    return Held(use, request_uri, _logs_out(world), timedelta(seconds=90))


# -- refresh_token


async def refresh_token(world: World) -> Held:
    token = (await _tokens(world))["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": token}
    return Held(_of_form(world, form), token, _revokes(world, token), timedelta(days=30))


# -- client_credentials, by a secret and by a key


async def client_secret(world: World) -> Held:
    """A secret that is being rolled: it ends in an hour."""

    async def end() -> None:
        async with world.store() as store:
            await store.clients.end_secrets("web")

    async with world.store() as store:
        secret = await store.clients.add_secret("web", expires_at=world.clock() + timedelta(hours=1))
    form = {"grant_type": "client_credentials", "scope": "orders:read"}
    use = _of_form(world, form, proof={"client_id": "web", "client_secret": secret})
    return Held(use, secret, end, timedelta(hours=1))


async def client_assertion(world: World) -> Held:
    async def other_keys() -> None:
        other = signing_client.signing_client(signer=Signer(name="another"))
        async with world.store() as store:
            await store.clients.replace(other)

    for fixture in (world.acme, world.globex):
        await signing_client.register(world, fixture=fixture)
    form = {"grant_type": "client_credentials", "scope": "orders:read", **signing_client.proof(world)}
    return Held(_of_form(world, form, proof={}), form["client_assertion"], other_keys, timedelta(minutes=2))


# -- device_code


async def device_code(world: World) -> Held:
    device = Device(world, client_id="web")
    await device.start(scope="orders:read", client_secret=world.acme.secret)
    async with Browser(world) as browser:
        await browser.log_in()
        await decide(browser, device)
    secret = str(device.shown["device_code"])
    form = {"grant_type": DEVICE_CODE, "device_code": secret}
    return Held(_of_form(world, form), secret, _logs_out(world), timedelta(minutes=10))


# -- password, and its second half


async def password(world: World) -> Held:
    form = world.acme.form(scope="orders:read", client_id=None)
    return Held(_of_form(world, form), world.acme.password, _other_password(world))


async def mfa_token(world: World) -> Held:
    secret = await enrol(world)
    token = (await _tokens(world))["mfa_token"]
    form = {"grant_type": MFA_OTP, "mfa_token": token, "otp": code(world, secret)}
    return Held(_of_form(world, form), token, _other_password(world), timedelta(minutes=5))


# -- token_exchange


async def subject_token(world: World) -> Held:
    token = (await _tokens(world))["access_token"]
    form = {
        "grant_type": TOKEN_EXCHANGE,
        "subject_token": token,
        "subject_token_type": ACCESS_TOKEN,
        "audience": INVOICES,
    }
    return Held(_of_form(world, form), token, _revokes(world, token), timedelta(minutes=5))
