"""The audit log over the admin API, beyond lists and single proofs: that it continues what it was."""

from base64 import b64decode
from typing import Any

import pytest
from sqlalchemy import text

from policies.merkle_proof import consistent
from tenants.signed_note import VerifierKey
from tests.gateway.admin.house import Caller, House

AUDIT = "/v1/tenants/acme/audit"


async def grown(house: House, caller: Caller, *names: str) -> dict[str, Any]:
    """The checkpoint, after these users were made."""
    for name in names:
        assert (await caller.post("/v1/tenants/acme/users", {"name": name})).status_code == 201
    await house.world.events()
    await house.world.installation.audit_tree.grow()
    checkpoint: dict[str, Any] = (await caller.get(f"{AUDIT}/checkpoint")).json()
    return checkpoint


async def test_a_log_is_proved_to_continue_an_earlier_one(each_house: House) -> None:
    async with each_house.client(await each_house.administrator()) as caller:
        notes = [await grown(each_house, caller, *names) for names in (("u1",), ("u2", "u3", "u4"), ("u5",))]
        key = VerifierKey.parse(notes[0]["key"])
        first, second, third = (key.opened(each["note"]) for each in notes)
        assert first.size < second.size < third.size
        for earlier, later in ((first, second), (second, third), (first, third), (third, third)):
            query = {"earlier": earlier.size, "later": later.size}
            answer = (await caller.get(f"{AUDIT}/consistency", params=query)).json()
            proof = [b64decode(each) for each in answer["proof"]]
            assert (answer["earlier"], answer["later"]) == (earlier.size, later.size)
            assert consistent(earlier.size, earlier.root, later.size, later.root, proof)
        answer = (await caller.get(f"{AUDIT}/consistency", params={"earlier": first.size})).json()
        assert answer["later"] == third.size
        assert not consistent(first.size, third.root, third.size, third.root, [b64decode(e) for e in answer["proof"]])


async def test_sizes_that_no_checkpoint_has_are_refused(house: House) -> None:
    async with house.client(await house.administrator()) as caller:
        assert (await caller.get(f"{AUDIT}/consistency", params={"earlier": 0})).status_code == 404
        size = (await grown(house, caller, "u1"))["size"]
        wrong: list[dict[str, Any]] = [
            {},
            {"earlier": -1},
            {"earlier": "x"},
            {"earlier": 10**18},
            {"earlier": size + 1},
            {"earlier": 0, "later": size + 1},
            {"earlier": 2, "later": 1},
            {"earlier": 1, "size": 2},
        ]
        for query in wrong:
            answer = await caller.get(f"{AUDIT}/consistency", params=query)
            assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), query


@pytest.mark.parametrize("severity", ["low", "critical"])
async def test_events_are_filtered_by_their_least_severity(house: House, severity: str) -> None:
    async with house.client(await house.administrator()) as caller:
        await grown(house, caller, "u1")
        listed = (await caller.get(f"{AUDIT}/events", params={"severity": severity})).json()["items"]
        levels = ["low", "medium", "high", "critical"]
        least = levels[levels.index(severity) :]
        assert [each for each in listed if each["event"].get("severity") not in least] == []
        assert (await caller.get(f"{AUDIT}/events", params={"severity": "dire"})).status_code == 422


async def test_a_log_of_which_rows_were_taken_says_so(house: House) -> None:
    async with house.client(await house.administrator()) as caller:
        size = (await grown(house, caller, "u1", "u2", "u3"))["size"]
        events = (await caller.get(f"{AUDIT}/events")).json()["items"]
        async with house.world.installation.database.system_step() as connection:
            await connection.execute(text("DELETE FROM audit_events WHERE position = :at"), {"at": size - 1})
        left = next(each["event"]["id"] for each in events if each["position"] == size - 2)
        for path in (f"events/{left}", f"consistency?earlier={size - 2}"):
            answer = await caller.get(f"{AUDIT}/{path}")
            assert (answer.status_code, answer.json()["code"]) == (409, "log_damaged"), path
