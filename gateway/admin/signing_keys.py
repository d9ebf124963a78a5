"""``/tenants/{slug}/signing-keys``: their life. Private halves are never shown."""

from datetime import datetime
from typing import Literal, assert_never

from pydantic import JsonValue

from gateway.admin.document import Document, Page
from gateway.admin.errors import ResourceNotFound
from gateway.admin.operation import Answer, Call, Operation
from policies.administration import KEYS_READ, KEYS_WRITE
from policies.key_rotation import NothingToPromote, PromoteNow, Schedule
from tenants.acts import keys as acts
from tenants.keys import KeyRecord


class SigningKeyDocument(Document):
    """``promote_at`` is when a scheduled rotation is due."""

    kid: str
    alg: str
    state: Literal["next", "active", "retiring", "retired", "revoked"]
    public_jwk: dict[str, JsonValue]
    created_at: datetime
    published_at: datetime
    promote_at: datetime | None
    activated_at: datetime | None
    retiring_at: datetime | None
    ended_at: datetime | None


class RotationWanted(Document):
    """``now``: do not wait until caches know the key. Some clients will refuse tokens for a time."""

    now: bool = False


class Rotation(Document):
    """``kid`` signs now, and ``retires`` stops; or it is to sign ``promote_at``. ``early``: caches may not know it."""

    kid: str
    retires: str | None
    early: bool
    promote_at: datetime | None


def _shown(key: KeyRecord) -> SigningKeyDocument:
    return SigningKeyDocument(
        kid=key.kid,
        alg=key.alg,
        state=key.state.value,
        public_jwk=key.public_jwk,
        created_at=key.created_at,
        published_at=key.published_at,
        promote_at=key.promote_at,
        activated_at=key.activated_at,
        retiring_at=key.retiring_at,
        ended_at=key.ended_at,
    )


async def _list(call: Call) -> Answer:
    """All of them: a tenant has a handful."""
    shown = tuple(_shown(key) for key in await call.store.keys.list())
    return Answer(Page[SigningKeyDocument](items=shown, next_cursor=None))


async def _rotate(call: Call) -> Answer:
    promotion = await acts.rotate(call.store, call.by, call.tenant.signing_alg, force=call.body.now)
    match promotion:
        case PromoteNow(kid, retires, early):
            return Answer(Rotation(kid=kid, retires=retires, early=early, promote_at=None))
        case Schedule(kid, at):
            return Answer(Rotation(kid=kid, retires=None, early=False, promote_at=at))
        case NothingToPromote():
            raise AssertionError("a rotation makes the key that it lacks")
        case _:
            assert_never(promotion)


async def _revoke(call: Call) -> Answer:
    await acts.revoke(call.store, call.by, call.parameters["kid"], call.tenant.signing_alg)
    return Answer()


_ALL = "/tenants/{slug}/signing-keys"
OPERATIONS = (
    Operation(
        "list_signing_keys",
        "GET",
        _ALL,
        KEYS_READ,
        "List signing keys, oldest first",
        _list,
        answer=Page[SigningKeyDocument],
    ),
    Operation(
        "rotate_signing_key",
        "POST",
        f"{_ALL}/rotate",
        KEYS_WRITE,
        "Let the next key sign once it has been published long enough; until then that is scheduled",
        _rotate,
        answer=Rotation,
        body=RotationWanted,
        body_optional=True,
    ),
    Operation(
        "revoke_signing_key",
        "DELETE",
        f"{_ALL}/{{kid}}",
        KEYS_WRITE,
        "Refuse every token of a key within a second; the next key takes over",
        _revoke,
        refusals=(ResourceNotFound,),
    ),
)
