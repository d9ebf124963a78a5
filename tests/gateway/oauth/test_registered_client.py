"""``/register/{client_id}`` (RFC 7592): a registered client is read, changed and deleted by the holder of its token."""

import asyncio
from dataclasses import replace

import pytest

from tests.gateway.oauth.registering import METADATA, Application, allow
from tests.gateway.world import ORDERS, World


async def test_it_reads_what_is_registered_and_its_secret_no_more_rfc7592_2_1(world: World) -> None:
    app = await Application.register(world)
    answer = await app.manage("GET")

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    expected = {name: value for name, value in app.known.items() if not name.startswith("client_secret")}
    assert answer.json() == expected


async def test_a_change_replaces_everything_and_the_token_rfc7592_2_2(each_world: World) -> None:
    app = await Application.register(each_world, client_uri="https://partner.example", scope="openid")
    before = dict(app.known)
    answer = await app.change(client_name="New name", redirect_uris=["https://b.example/cb"])

    assert answer.status_code == 200
    assert (app.known["client_name"], app.known["redirect_uris"]) == ("New name", ["https://b.example/cb"])
    assert "client_uri" not in app.known
    assert app.known["registration_access_token"] != before["registration_access_token"]
    assert app.known["client_id_issued_at"] == before["client_id_issued_at"]
    assert "client_secret" not in app.known
    assert (await app.manage("GET", token=before["registration_access_token"])).status_code == 401
    assert (await app.manage("GET")).status_code == 200
    (event,) = [event for event in await each_world.events() if event["type"] == "client.changed"]
    assert (event["client_id"], event["actor"]) == (app.client_id, "registration")
    assert event["details"]["changed"] == ["client_uri", "name", "redirect_uris"]


async def test_of_20_changes_at_once_one_is_made(each_world: World) -> None:
    app = await Application.register(each_world)
    metadata = {**METADATA, "client_id": app.client_id}
    answers = await asyncio.gather(*(app.manage("PUT", metadata) for _ in range(20)))

    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 19


async def test_another_way_to_prove_itself_makes_and_ends_secrets(world: World) -> None:
    app = await Application.register(world)
    form = {"grant_type": "password", "username": "alice", "password": world.acme.password}
    secret = app.known["client_secret"]
    await app.change(token_endpoint_auth_method="none")
    assert "client_secret" not in app.known
    assert (await world.post(form, auth=(app.client_id, secret))).json()["error"] == "invalid_client"

    await app.change(token_endpoint_auth_method="client_secret_basic")
    assert app.known["client_secret"] != secret
    assert (await world.post(form, auth=(app.client_id, secret))).json()["error"] == "invalid_client"
    new = (app.client_id, app.known["client_secret"])
    assert (await world.post(form, auth=new)).json()["error"] == "unauthorized_client"


async def test_a_deleted_client_is_gone_with_its_token_rfc7592_2_3(each_world: World) -> None:
    app = await Application.register(each_world)

    answer = await app.manage("DELETE")
    assert (answer.status_code, answer.content) == (204, b"")
    for method in ("GET", "DELETE"):
        assert (await app.manage(method)).status_code == 401
    form = {"grant_type": "password", "username": "alice", "password": each_world.acme.password}
    gone = await each_world.post(form, auth=(app.client_id, app.known["client_secret"]))
    assert gone.json()["error"] == "invalid_client"
    deleted = [event for event in await each_world.events() if event["type"] == "client.deleted"]
    assert [(event["client_id"], event["actor"]) for event in deleted] == [(app.client_id, "registration")]


async def test_only_its_own_token_manages_a_client_and_every_other_answer_is_the_same(world: World) -> None:
    app, other = await Application.register(world), await Application.register(world)
    theirs = other.known["registration_access_token"]
    initial = await allow(world)
    answers = [
        await app.manage("GET", token=theirs),
        await app.manage("GET", token=initial),
        await app.manage("GET", token=app.known["client_secret"]),
        await app.manage("GET", path="/t/acme/register/nobody"),
        await app.manage("GET", path="/t/acme/register/web"),
        await app.manage("GET", path="/t/acme/register/%20%00"),
        await app.manage("PUT", {**METADATA, "client_id": app.client_id}, token=theirs),
        await app.manage("DELETE", token=theirs),
    ]

    assert {answer.status_code for answer in answers} <= {401, 400}
    assert {answer.text for answer in answers if answer.status_code == 401} == {answers[0].text}
    assert (await app.manage("GET")).status_code == 200


async def test_a_token_of_another_tenant_manages_nothing(world: World) -> None:
    app = await Application.register(world)
    await allow(world, world.globex)
    path = f"/t/globex/register/{app.client_id}"

    assert (await app.manage("GET", path=path)).status_code == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "web"},
        {"client_id": None},
        {"client_secret": "another"},
        {"registration_access_token": "yrg_mine"},
        {"registration_client_uri": "https://evil.test"},
        {"client_secret_expires_at": 0},
        {"client_id_issued_at": 1},
        {"grant_types": ["password"]},
        {"scope": "admin"},
    ],
    ids=str,
)
async def test_a_change_that_is_refused_changes_nothing(world: World, changes: dict[str, object]) -> None:
    app = await Application.register(world)
    answer = await app.change(client_name="Mine now", **changes)

    assert answer.status_code == 400
    assert answer.json()["error"] in ("invalid_client_metadata", "invalid_request")
    assert (await app.manage("GET")).json()["client_name"] == METADATA["client_name"]


async def test_its_own_secret_may_be_sent_back(world: World) -> None:
    app = await Application.register(world)

    assert (await app.change(client_secret=app.known["client_secret"])).status_code == 200


async def test_what_the_tenant_gave_it_stays_and_it_can_give_itself_no_more(world: World) -> None:
    app = await Application.register(world)
    async with world.store() as store:
        client = await store.clients.get(app.client_id)
        assert client is not None
        options = replace(client.options, first_party=True, claim_mapping=(("x", "user.id"),))
        scopes = client.scopes | {"orders:read"}
        await store.clients.replace(replace(client, scopes=scopes, audiences=(ORDERS,), options=options))

    assert (await app.change(scope="openid orders:read")).status_code == 200
    assert (await app.change(scope="openid orders:write")).status_code == 400
    async with world.store() as store:
        client = await store.clients.get(app.client_id)
    assert client is not None
    assert (client.audiences, client.scopes) == ((ORDERS,), {"openid", "orders:read"})
    assert (client.options.first_party, client.options.claim_mapping) == (True, (("x", "user.id"),))


async def test_what_the_tenant_demands_of_it_and_took_from_it_stays(each_world: World) -> None:
    app = await Application.register(
        each_world, grant_types=["authorization_code", "refresh_token"], scope="openid profile offline_access"
    )
    demanded = {
        "dpop_bound_access_tokens": True,
        "require_pushed_authorization_requests": True,
        "require_signed_request_object": True,
    }
    async with each_world.store() as store:
        client = await store.clients.get(app.client_id)
        assert client is not None
        left = replace(
            client,
            scopes=frozenset({"openid", "profile"}),
            default_scopes=frozenset({"openid", "profile"}),
            grant_types=frozenset({"authorization_code"}),
            options=replace(client.options, **demanded),
        )
        await store.clients.replace(left)

    for refused in ({"scope": "openid email"}, {"grant_types": ["authorization_code", "refresh_token"]}):
        answer = await app.change(**refused)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
    assert (await app.change(**dict.fromkeys(demanded, False))).status_code == 200
    assert (await app.change()).status_code == 200
    assert {name: app.known[name] for name in demanded} == demanded
    assert (app.known["scope"], app.known["grant_types"]) == ("openid profile", ["authorization_code"])
    assert (await app.change(scope="openid")).status_code == 200
    async with each_world.store() as store:
        client = await store.clients.get(app.client_id)
    assert client is not None
    assert (client.scopes, client.default_scopes) == ({"openid"}, {"openid"})


async def test_a_disabled_client_and_a_tenant_that_closed_registration_manage_nothing(world: World) -> None:
    app = await Application.register(world)
    async with world.store() as store:
        await store.clients.set_active(app.client_id, False)
    assert (await app.manage("GET")).status_code == 401

    async with world.store() as store:
        await store.clients.set_active(app.client_id, True)
        tenant = await store.settings.get()
        assert tenant is not None
        await store.settings.set_provider(tenant.provider.changed(registration=False))
    assert [(await app.manage(method)).status_code for method in ("GET", "DELETE")] == [403, 403]


async def test_a_page_of_the_tenants_clients_may_register_and_manage(world: World) -> None:
    async with world.client(headers={"Origin": "https://app.acme.test"}) as client:
        preflight = await client.options("/t/acme/register/dcr-1", headers={"Access-Control-Request-Method": "PUT"})

    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-methods"] == "GET, PUT, DELETE"
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
