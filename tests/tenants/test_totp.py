"""Authenticators: a code of a step is good once per user, and only a confirmed authenticator's (RFC 6238)."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import pyotp
import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants.database import Database
from tenants.errors import InvalidValue, NotFound
from tenants.people_tables import totp_factors
from tenants.sealing import MasterKeys, Unsealable
from tenants.store import Store
from tenants.totp import MAX_FACTORS, Enrolment, Factor, TooManyFactors
from tests.conftest import Clock
from tests.tenants.conftest import Household, dump

# RFC 6238 appendix B, SHA-1: the last six of the eight digits, which are what an authenticator of six shows.
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # "12345678901234567890"
RFC_CODES = [
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]


@dataclass
class Person:
    """Alice, and what she does with her phone."""

    store: Store
    clock: Clock
    household: Household

    @property
    def id(self) -> UUID:
        return self.household.user_id

    def code(self, enrolment: Enrolment, *, step: int = 0) -> str:
        return pyotp.TOTP(enrolment.secret).at(self.clock(), counter_offset=step)

    async def enrol(self, name: str = "Phone") -> Enrolment:
        async with self.store.for_tenant(self.household.tenant.id) as mine:
            return await mine.factors.enrol(self.id, name=name, issuer_name="Acme", account="alice")

    async def confirm(self, enrolment: Enrolment, code: str, **name: str) -> bool:
        async with self.store.for_tenant(self.household.tenant.id) as mine:
            return await mine.factors.confirm(self.id, enrolment.factor_id, code, **name)

    async def confirmed(self, name: str = "Phone") -> Enrolment:
        """An authenticator whose enrolment is some minutes ago, so that its codes are fresh again."""
        enrolment = await self.enrol(name)
        assert await self.confirm(enrolment, self.code(enrolment))
        self.clock.advance(minutes=5)
        return enrolment

    async def redeem(self, code: str) -> Factor | None:
        async with self.store.for_tenant(self.household.tenant.id) as mine:
            return await mine.factors.redeem(self.id, code)

    async def factors(self) -> list[Factor]:
        async with self.store.for_tenant(self.household.tenant.id, read_only=True) as mine:
            assert await mine.factors.has_any(self.id) is bool(await mine.factors.of_user(self.id))
            return list(await mine.factors.of_user(self.id))


@pytest.fixture
def alice(store: Store, household: Household, clock: Clock) -> Person:
    return Person(store, clock, household)


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """What is asked of the tables of second factors meanwhile."""
    seen: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "totp" in statement:
            seen.append(statement)

    engine = database.app.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


async def plant(
    superuser: AsyncEngine, keys: MasterKeys, person: Person, secret: str, *, place: UUID | None = None
) -> UUID:
    """A confirmed authenticator with a known secret, sealed for its own row or for that of ``place``."""
    factor_id, tenant_id = uuid4(), person.household.tenant.id
    sealed = keys.seal(
        secret.encode(),
        tenant=str(tenant_id),
        table="totp_factors",
        row=str(place or factor_id),
        column="sealed_secret",
    )
    async with superuser.begin() as connection:
        await connection.execute(
            totp_factors.insert().values(
                tenant_id=tenant_id,
                id=factor_id,
                user_id=person.id,
                name="Planted",
                sealed_secret=sealed,
                created_at=person.clock(),
                confirmed_at=person.clock(),
            )
        )
    return factor_id


@pytest.mark.parametrize(("seconds", "eight_digits"), RFC_CODES)
async def test_the_codes_of_rfc_6238_are_accepted_at_their_times(
    superuser: AsyncEngine, master_keys: MasterKeys, alice: Person, seconds: int, eight_digits: str
) -> None:
    alice.clock.now = datetime.fromtimestamp(seconds, UTC)
    factor_id = await plant(superuser, master_keys, alice, RFC_SECRET)
    found = await alice.redeem(eight_digits[2:])
    assert found is not None
    assert (found.id, found.last_used_at) == (factor_id, alice.clock())


async def test_an_authenticator_counts_once_it_is_confirmed(alice: Person, clock: Clock) -> None:
    enrolment = await alice.enrol("  Phone ")
    assert await alice.factors() == []
    assert await alice.redeem(alice.code(enrolment)) is None
    began = clock()
    clock.advance(minutes=1)
    assert await alice.confirm(enrolment, alice.code(enrolment))
    assert await alice.factors() == [Factor(enrolment.factor_id, alice.id, "Phone", began, clock(), None)]


async def test_the_enrolment_code_is_no_login_code(alice: Person, clock: Clock) -> None:
    enrolment = await alice.enrol()
    code = alice.code(enrolment)
    assert await alice.confirm(enrolment, code)
    assert await alice.redeem(code) is None
    assert not await alice.confirm(enrolment, code)
    clock.advance(seconds=30)
    assert await alice.redeem(alice.code(enrolment)) is not None


async def test_a_used_code_enrols_nothing(alice: Person, clock: Clock) -> None:
    first = await alice.confirmed()
    assert await alice.redeem(alice.code(first)) is not None
    second = await alice.enrol("Tablet")
    assert not await alice.confirm(second, alice.code(second))  # right, but of a step that this user has used
    clock.advance(seconds=30)
    assert await alice.confirm(second, alice.code(second))


@pytest.mark.parametrize(("step", "good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
async def test_a_clock_may_be_one_step_off(alice: Person, step: int, good: bool) -> None:
    enrolment = await alice.confirmed()
    assert (await alice.redeem(alice.code(enrolment, step=step)) is not None) is good


async def test_a_code_is_good_once_for_login_and_step_up_alike(alice: Person, clock: Clock) -> None:
    enrolment = await alice.confirmed()
    code = alice.code(enrolment)
    assert await alice.redeem(code) is not None
    assert await alice.redeem(code) is None
    clock.advance(seconds=29)  # the window has it still
    assert await alice.redeem(code) is None


@pytest.mark.parametrize("older", [-1, 0])
async def test_a_code_of_a_step_before_the_last_used_one_is_refused(alice: Person, older: int) -> None:
    enrolment = await alice.confirmed()
    earlier, later = alice.code(enrolment, step=older), alice.code(enrolment, step=older + 1)
    assert await alice.redeem(later) is not None
    assert await alice.redeem(earlier) is None


async def test_of_twenty_parallel_redemptions_of_a_code_one_wins(alice: Person) -> None:
    code = alice.code(await alice.confirmed())
    outcomes = await asyncio.gather(*(alice.redeem(code) for _ in range(20)))
    assert sum(outcome is not None for outcome in outcomes) == 1


async def test_of_a_users_first_codes_in_parallel_one_wins(
    superuser: AsyncEngine, master_keys: MasterKeys, alice: Person
) -> None:
    await plant(superuser, master_keys, alice, RFC_SECRET)  # no step of this user is stored yet
    code = pyotp.TOTP(RFC_SECRET).at(alice.clock())
    outcomes = await asyncio.gather(*(alice.redeem(code) for _ in range(20)))
    assert sum(outcome is not None for outcome in outcomes) == 1


async def test_a_step_is_good_once_whichever_authenticator_shows_it(alice: Person) -> None:
    phones = [await alice.confirmed("Phone"), await alice.confirmed("Tablet")]
    codes = [alice.code(phone) for phone in phones] * 10
    outcomes = await asyncio.gather(*(alice.redeem(code) for code in codes))
    assert sum(outcome is not None for outcome in outcomes) == 1


async def test_of_twenty_parallel_confirmations_one_wins(alice: Person) -> None:
    enrolment = await alice.enrol()
    code = alice.code(enrolment)
    outcomes = await asyncio.gather(*(alice.confirm(enrolment, code) for _ in range(20)))
    assert sorted(outcomes) == [False] * 19 + [True]


async def test_any_of_several_authenticators_will_do(alice: Person, clock: Clock) -> None:
    phones = {name: await alice.confirmed(name) for name in ("Phone", "Tablet", "Safe")}
    for name, phone in phones.items():
        found = await alice.redeem(alice.code(phone))
        assert found is not None
        assert (found.name, found.last_used_at) == (name, clock())
        assert found in await alice.factors()
        clock.advance(seconds=30)


FULL_WIDTH, ARABIC = str.maketrans("0123456789", "０１２３４５６７８９"), str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
GARBAGE: dict[str, Callable[[str], str]] = {
    "nothing": lambda _: "",
    "spaces": lambda _: " " * 6,
    "five digits": lambda code: code[:5],
    "seven digits": lambda code: code + "0",
    "eight digits": lambda code: "00" + code,
    "letters": lambda _: "abcdef",
    "a letter after it": lambda code: code + "a",
    "full-width digits": lambda code: code.translate(FULL_WIDTH),
    "arabic digits": lambda code: code.translate(ARABIC),
    "superscript digits": lambda _: "²" * 6,
    "a hyphen": lambda code: f"{code[:3]}-{code[3:]}",
    "a sign": lambda code: "+" + code,
    "a NUL": lambda code: code + "\0",
    "a NUL inside": lambda code: f"{code[:3]}\0{code[3:]}",
    "an unpaired surrogate": lambda code: code + "\ud800",
    "10 MB of digits": lambda code: code * 1_700_000,
    "10 MB of space around": lambda code: " " * 10_000_000 + code,
    "SQL": lambda _: "' OR 1=1 --",
}


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_what_is_not_six_digits_is_a_wrong_code_and_costs_no_query(
    database: Database, alice: Person, garbage: str
) -> None:
    enrolment = await alice.confirmed()
    waiting = await alice.enrol("Tablet")
    with statements(database) as seen:
        assert await alice.redeem(GARBAGE[garbage](alice.code(enrolment))) is None
        assert not await alice.confirm(waiting, GARBAGE[garbage](alice.code(waiting)))
    assert seen == []
    assert await alice.redeem(alice.code(enrolment)) is not None  # and nothing was used up


@pytest.mark.parametrize("typed", ["{0} {1}", " {0}{1}\n", "\u00a0{0}\u00a0{1} ", "{0}\t{1}"])
async def test_spaces_in_a_code_do_not_matter(alice: Person, typed: str) -> None:
    enrolment = await alice.confirmed()
    code = alice.code(enrolment)
    assert await alice.redeem(typed.format(code[:3], code[3:])) is not None


async def test_wrong_codes_use_nothing_up(alice: Person) -> None:
    enrolment = await alice.confirmed()
    window = {alice.code(enrolment, step=step) for step in (-1, 0, 1)}
    wrong = next(code for code in (f"{number:06}" for number in range(4)) if code not in window)
    assert await alice.redeem(wrong) is None
    assert await alice.redeem(alice.code(enrolment)) is not None


async def test_a_code_is_its_own_users_only(store: Store, alice: Person) -> None:
    enrolment = await alice.confirmed()
    waiting = await alice.enrol("Tablet")
    async with store.for_tenant(alice.household.tenant.id) as mine:
        bob = await mine.users.create("bob")
        assert await mine.factors.redeem(bob.id, alice.code(enrolment)) is None
        assert not await mine.factors.confirm(bob.id, waiting.factor_id, alice.code(waiting))
        asked = {"issuer_name": "Acme", "account": "bob"}
        assert await mine.factors.enrolment(bob.id, waiting.factor_id, **asked) is None
        assert not await mine.factors.rename(bob.id, enrolment.factor_id, "Bob's now")
        assert not await mine.factors.remove(bob.id, enrolment.factor_id)
        assert await mine.factors.remove_all(bob.id) == 0
        assert not await mine.factors.has_any(bob.id)
    assert [factor.name for factor in await alice.factors()] == ["Phone"]


async def test_an_enrolment_says_what_an_authenticator_needs(store: Store, alice: Person) -> None:
    async with store.for_tenant(alice.household.tenant.id) as mine:
        told = {"issuer_name": "Acme: R&D", "account": "alice@example.com"}
        enrolment = await mine.factors.enrol(alice.id, name="Phone", **told)
        assert await mine.factors.enrolment(alice.id, enrolment.factor_id, **told) == enrolment
    parts = urlsplit(enrolment.uri)
    assert (parts.scheme, parts.netloc, parts.path) == (
        "otpauth",
        "totp",
        "/Acme%3A%20R%26D:alice%40example.com",
    )
    assert parse_qs(parts.query) == {"secret": [enrolment.secret], "issuer": ["Acme: R&D"]}  # the rest: the defaults
    assert len(pyotp.TOTP(enrolment.secret).byte_secret()) * 8 == 160
    assert enrolment.secret not in repr(enrolment)


async def test_a_name_of_any_length_leaves_the_address_short_enough_for_a_qr_code(store: Store, alice: Person) -> None:
    async with store.for_tenant(alice.household.tenant.id) as mine:
        enrolment = await mine.factors.enrol(alice.id, name="Phone", issuer_name="錠" * 200, account="🔑" * 254)
        plain = await mine.factors.enrol(alice.id, name="Phone", issuer_name="A" * 200, account="a" * 254)
    assert len(enrolment.uri) < 1100
    assert pyotp.parse_uri(enrolment.uri).secret == enrolment.secret
    assert f":{'a' * 254}?" in plain.uri


async def test_no_two_enrolments_have_one_secret(alice: Person) -> None:
    assert len({(await alice.enrol()).secret for _ in range(20)}) == 20


async def test_a_secret_is_stored_sealed(alice: Person, superuser: AsyncEngine) -> None:
    secrets = [(await alice.confirmed()).secret, (await alice.enrol()).secret]
    rows = str(await dump(superuser))
    for secret in secrets:
        assert secret not in rows
        assert str(pyotp.TOTP(secret).byte_secret()) not in rows


async def test_a_sealed_secret_of_another_row_does_not_open(
    superuser: AsyncEngine, master_keys: MasterKeys, alice: Person
) -> None:
    await plant(superuser, master_keys, alice, RFC_SECRET, place=uuid4())
    with pytest.raises(Unsealable):
        await alice.redeem(pyotp.TOTP(RFC_SECRET).at(alice.clock()))


async def test_a_new_enrolment_takes_the_place_of_an_unconfirmed_one(store: Store, alice: Person) -> None:
    kept = await alice.confirmed("Phone")
    first = await alice.enrol("Tablet")
    second = await alice.enrol("Tablet")
    assert not await alice.confirm(first, alice.code(first))
    assert await alice.confirm(second, alice.code(second), name="Red tablet")
    async with store.for_tenant(alice.household.tenant.id, read_only=True) as mine:
        for factor_id in (kept.factor_id, first.factor_id, second.factor_id):  # shown no more
            assert await mine.factors.enrolment(alice.id, factor_id, issuer_name="Acme", account="alice") is None
    assert [factor.name for factor in await alice.factors()] == ["Phone", "Red tablet"]


async def test_twenty_parallel_enrolments_leave_one(alice: Person, superuser: AsyncEngine) -> None:
    await asyncio.gather(*(alice.enrol() for _ in range(20)))
    assert len((await dump(superuser))["totp_factors"]) == 1


async def test_a_user_has_ten_authenticators_at_most(store: Store, alice: Person) -> None:
    for number in range(MAX_FACTORS):
        await alice.confirmed(f"Phone {number}")
    with pytest.raises(TooManyFactors):
        await alice.enrol("One more")
    first = (await alice.factors())[0]
    async with store.for_tenant(alice.household.tenant.id) as mine:
        assert await mine.factors.remove(alice.id, first.id)
    await alice.confirmed("One more")
    assert [factor.name for factor in await alice.factors()] == [f"Phone {n}" for n in range(1, 10)] + ["One more"]


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\0b", "a\nb", "\ud800", "\u202ealice"])
async def test_a_name_is_short_and_printable(store: Store, alice: Person, name: str) -> None:
    enrolment = await alice.confirmed()
    waiting = await alice.enrol("Tablet")
    async with store.for_tenant(alice.household.tenant.id) as mine:
        with pytest.raises(InvalidValue):
            await mine.factors.enrol(alice.id, name=name, issuer_name="Acme", account="alice")
        with pytest.raises(InvalidValue):
            await mine.factors.confirm(alice.id, waiting.factor_id, alice.code(waiting), name=name)
        with pytest.raises(InvalidValue):
            await mine.factors.rename(alice.id, enrolment.factor_id, name)
    assert [factor.name for factor in await alice.factors()] == ["Phone"]
    assert await alice.confirm(waiting, alice.code(waiting))  # no refusal has used its code up


async def test_an_authenticator_is_renamed_and_removed(store: Store, alice: Person) -> None:
    phone, tablet = await alice.confirmed("Phone"), await alice.confirmed("Tablet")
    async with store.for_tenant(alice.household.tenant.id) as mine:
        assert await mine.factors.rename(alice.id, phone.factor_id, " Old phone ")
        assert not await mine.factors.rename(alice.id, uuid4(), "Nothing")
        assert [factor.name for factor in await mine.factors.of_user(alice.id)] == ["Old phone", "Tablet"]
        assert await mine.factors.remove(alice.id, phone.factor_id)
        assert not await mine.factors.remove(alice.id, phone.factor_id)
    assert await alice.redeem(alice.code(phone)) is None
    assert await alice.redeem(alice.code(tablet)) is not None


async def test_an_unconfirmed_authenticator_is_neither_renamed_nor_removed(store: Store, alice: Person) -> None:
    waiting = await alice.enrol()
    async with store.for_tenant(alice.household.tenant.id) as mine:
        assert not await mine.factors.rename(alice.id, waiting.factor_id, "Other")
        assert not await mine.factors.remove(alice.id, waiting.factor_id)
    assert await alice.confirm(waiting, alice.code(waiting))


async def test_all_are_removed_at_once_and_no_used_code_comes_back(
    store: Store, alice: Person, superuser: AsyncEngine, master_keys: MasterKeys
) -> None:
    await plant(superuser, master_keys, alice, RFC_SECRET)
    await alice.confirmed()
    waiting = await alice.enrol()
    code = pyotp.TOTP(RFC_SECRET).at(alice.clock())
    assert await alice.redeem(code) is not None
    async with store.for_tenant(alice.household.tenant.id) as mine:
        assert await mine.factors.remove_all(alice.id) == 2  # the third was none yet
        assert await mine.factors.remove_all(alice.id) == 0
    assert not await alice.confirm(waiting, alice.code(waiting, step=1))
    await plant(superuser, master_keys, alice, RFC_SECRET)
    assert await alice.redeem(code) is None


async def test_nobody_has_no_authenticator(store: Store, alice: Person) -> None:
    nobody = uuid4()
    async with store.for_tenant(alice.household.tenant.id) as mine:
        with pytest.raises(NotFound):
            await mine.factors.enrol(nobody, name="Phone", issuer_name="Acme", account="nobody")
        assert not await mine.factors.confirm(nobody, uuid4(), "123456")
        assert await mine.factors.redeem(nobody, "123456") is None
        assert list(await mine.factors.of_user(nobody)) == []
        assert not await mine.factors.has_any(nobody)
