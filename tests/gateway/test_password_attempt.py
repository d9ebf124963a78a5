"""An attempt with a password: what is compared with an imported hash is what was typed."""

from ipaddress import ip_address

import bcrypt

from gateway.authn.password_attempt import PasswordAttempt, PasswordCheck, ProvedPassword
from tenants.hashing import HashingPool, Verified
from tenants.visitor import Visitor
from tests.gateway.world import ADDRESS, World


async def proved(world: World, hashing: HashingPool, password: str) -> tuple[PasswordAttempt, object]:
    check = PasswordCheck(hashing)
    async with world.store() as store:
        tenant = await store.settings.get()
        assert tenant is not None
        visitor = Visitor.of(ip_address(ADDRESS), "test")
        attempt = await check.begin(store, tenant, name="alice", password=password, visitor=visitor)
    attempt = await check.prove(attempt, world.store)
    async with world.store() as store:
        return attempt, await check.conclude(store, tenant, attempt)


async def test_an_imported_hash_meets_the_password_as_it_was_typed_and_ours_meets_both_spellings(
    world: World, hashing: HashingPool
) -> None:
    typed, normal = "cafe\u0301 noir", "caf\u00e9 noir"
    async with world.store() as store:
        stored = bcrypt.hashpw(typed.encode(), bcrypt.gensalt(4)).decode()
        await store.credentials.set_password(world.acme.users["alice"], stored)

    attempt, first = await proved(world, hashing, typed)

    assert isinstance(attempt.outcome, Verified)
    assert isinstance(first, ProvedPassword)
    assert typed not in repr(attempt)
    for spelling in (normal, typed):
        attempt, again = await proved(world, hashing, spelling)
        assert isinstance(again, ProvedPassword)
        assert attempt.outcome == Verified(rehash=None)
