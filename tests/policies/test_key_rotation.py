"""Signing keys: their states, when they are promoted, published and retired."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from policies.key_rotation import (
    SIGNING_LAG,
    KeyFacts,
    KeyState,
    NothingToPromote,
    PromoteNow,
    Schedule,
    due,
    jwks_max_age,
    may_become,
    promote,
    published,
    retire_at,
    signing,
    to_retire,
)

NOW = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
HOUR, DAY, LIFETIME = timedelta(hours=1), timedelta(days=1), timedelta(minutes=5)
ACTIVE = KeyFacts("active", KeyState.ACTIVE, NOW - 90 * DAY)


def upcoming(age: timedelta, kid: str = "next", promote_at: datetime | None = None) -> KeyFacts:
    return KeyFacts(kid, KeyState.NEXT, NOW - age, promote_at=promote_at)


def retiring(stopped_at: datetime | None) -> KeyFacts:
    return KeyFacts("retiring", KeyState.RETIRING, NOW - 90 * DAY, stopped_at=stopped_at)


def test_the_moves_of_a_key() -> None:
    allowed = {(a, b) for a, b in product(KeyState, KeyState) if may_become(a, b)}
    assert allowed == {
        (KeyState.NEXT, KeyState.ACTIVE),
        (KeyState.ACTIVE, KeyState.RETIRING),
        (KeyState.RETIRING, KeyState.RETIRED),
        *((state, KeyState.REVOKED) for state in KeyState if state is not KeyState.REVOKED),
    }


def test_only_the_active_key_signs() -> None:
    assert signing([upcoming(DAY), ACTIVE, retiring(NOW)]) == ACTIVE
    assert signing([upcoming(DAY), retiring(NOW)]) is None


def test_two_active_keys_are_an_error() -> None:
    with pytest.raises(ValueError, match="one active key"):
        signing([ACTIVE, ACTIVE])


def test_a_key_that_was_published_long_enough_is_promoted() -> None:
    assert promote([ACTIVE, upcoming(DAY)], now=NOW) == PromoteNow("next", retires="active", early=False)


def test_a_key_that_is_too_new_is_scheduled() -> None:
    assert promote([ACTIVE, upcoming(HOUR)], now=NOW) == Schedule("next", at=NOW + 23 * HOUR)
    assert promote([ACTIVE, upcoming(HOUR)], now=NOW, publish_for=HOUR) == PromoteNow("next", "active", early=False)


def test_force_promotes_and_says_that_it_is_early() -> None:
    assert promote([ACTIVE, upcoming(HOUR)], now=NOW, force=True) == PromoteNow("next", "active", early=True)
    assert promote([ACTIVE, upcoming(2 * DAY)], now=NOW, force=True) == PromoteNow("next", "active", early=False)


def test_a_tenant_without_an_active_key_gets_one_at_once() -> None:
    assert promote([upcoming(HOUR)], now=NOW) == PromoteNow("next", retires=None, early=True)


def test_the_longest_published_key_comes_first() -> None:
    keys = [ACTIVE, upcoming(2 * DAY, "b"), upcoming(3 * DAY, "c"), upcoming(HOUR, "a")]
    assert promote(keys, now=NOW) == PromoteNow("c", retires="active", early=False)


@pytest.mark.parametrize("keys", [[], [ACTIVE], [KeyFacts("x", KeyState.REVOKED, NOW - DAY)]])
def test_without_a_next_key_there_is_nothing_to_promote(keys: list[KeyFacts]) -> None:
    assert promote(keys, now=NOW) == NothingToPromote()


def test_a_scheduled_promotion_is_due_at_its_time() -> None:
    scheduled = upcoming(DAY, promote_at=NOW)
    assert due([ACTIVE, scheduled], now=NOW) == "next"
    assert due([ACTIVE, scheduled], now=NOW - timedelta(seconds=1)) is None
    assert due([ACTIVE, upcoming(DAY)], now=NOW) is None


def test_a_key_is_published_from_its_making_to_its_last_tokens_expiry() -> None:
    stopped = NOW - LIFETIME - SIGNING_LAG
    assert published(upcoming(timedelta()), now=NOW, token_lifetime=LIFETIME)
    assert published(ACTIVE, now=NOW, token_lifetime=LIFETIME)
    assert published(retiring(stopped + timedelta(seconds=1)), now=NOW, token_lifetime=LIFETIME)
    assert not published(retiring(stopped), now=NOW, token_lifetime=LIFETIME)
    assert not published(retiring(None), now=NOW, token_lifetime=LIFETIME)


@pytest.mark.parametrize("state", [KeyState.RETIRED, KeyState.REVOKED])
def test_a_retired_or_revoked_key_is_never_published(state: KeyState) -> None:
    key = KeyFacts("k", state, NOW - DAY, stopped_at=NOW)
    assert not published(key, now=NOW, token_lifetime=LIFETIME)


def test_a_key_is_retired_exactly_when_it_is_no_longer_published() -> None:
    key = retiring(NOW)
    at = retire_at(NOW, token_lifetime=LIFETIME)
    assert to_retire([ACTIVE, key], now=at - timedelta(microseconds=1), token_lifetime=LIFETIME) == ()
    assert to_retire([ACTIVE, key], now=at, token_lifetime=LIFETIME) == ("retiring",)


def test_a_token_signed_at_the_last_moment_outlives_no_key() -> None:
    last_signed = NOW + SIGNING_LAG
    assert retire_at(NOW, token_lifetime=LIFETIME) >= last_signed + LIFETIME


@pytest.mark.parametrize("publish_for", [timedelta(minutes=1), HOUR, DAY, 7 * DAY])
def test_every_cache_that_listens_has_a_key_before_it_signs(publish_for: timedelta) -> None:
    assert 0 < jwks_max_age(publish_for) <= publish_for.total_seconds() / 2
    assert jwks_max_age(publish_for) <= 3600
