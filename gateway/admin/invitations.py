"""``/tenants/{slug}/invitations``: for people who have no account yet. They choose their password themselves."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from gateway import urls
from gateway.admin.document import Document
from gateway.admin.errors import Existing, InsufficientScope, MailNotConfigured, ValidationFailed
from gateway.admin.givable import require_givable
from gateway.admin.operation import Answer, Call, Operation
from gateway.admin.users import Address
from policies.administration import USERS_WRITE
from tenants.acts import invitations as acts


class NewInvitation(Document):
    """``name`` null: the account is named by the address. ``by``: a letter to the address, or a link that is answered,
    to be handed over by other means.
    """

    email: Address | None = None
    name: Annotated[str, Field(min_length=1, max_length=254)] | None = None
    roles: Annotated[tuple[str, ...], Field(max_length=100)] = ()
    groups: Annotated[tuple[str, ...], Field(max_length=100)] = ()
    by: Annotated[str, Field(pattern=r"^(letter|link)$")] = "letter"


class InvitationDocument(Document):
    """``link`` is shown this once, where one was asked for. It works once, until ``expires_at``."""

    email: str | None
    name: str | None
    roles: tuple[str, ...]
    groups: tuple[str, ...]
    link: str | None
    expires_at: datetime


class UninviteQuery(Document):
    """Whose: one of both."""

    email: Annotated[str, Field(min_length=1, max_length=254, description="The address that was invited.")] | None = (
        None
    )
    name: Annotated[str, Field(min_length=1, max_length=254, description="The name that was invited.")] | None = None


class Withdrawn(Document):
    """How many links work no more."""

    links_ended: int


async def _invite(call: Call) -> Answer:
    wanted: NewInvitation = call.body
    if wanted.email is None and (wanted.by == "letter" or wanted.name is None):
        raise ValidationFailed([{"pointer": "/email", "detail": "a letter needs an address, and a link a name or one"}])
    if wanted.by == "letter" and not call.services.installation.settings.mail.configured:
        raise MailNotConfigured
    if not call.tenant.active:
        raise ValidationFailed([{"detail": "the tenant is suspended, and its pages are closed"}])
    await require_givable(call, wanted.roles, wanted.groups)
    given = acts.Given(wanted.roles, wanted.groups)
    await acts.require_free(call.store, name=wanted.name, email=wanted.email)
    lifetime, link = call.tenant.lifetimes.invitation, None
    if wanted.by == "link":
        secret = await acts.by_link(
            call.store, call.by, email=wanted.email, name=wanted.name, given=given, lifetime=lifetime
        )
        link = f"{urls.below(call.tenant.issuer, 'invite')}?token={secret}"
    elif wanted.email is not None:
        await acts.by_letter(call.store, call.by, email=wanted.email, name=wanted.name, given=given)
    return Answer(
        InvitationDocument(
            email=wanted.email,
            name=wanted.name,
            roles=wanted.roles,
            groups=wanted.groups,
            link=link,
            expires_at=call.now + lifetime,
        )
    )


async def _withdraw(call: Call) -> Answer:
    query: UninviteQuery = call.query
    if (query.email is None) == (query.name is None):
        raise ValidationFailed([{"detail": "name the address or the name that was invited, and one of them"}])
    ended = await acts.withdraw(call.store, call.by, email=query.email, name=query.name)
    return Answer(Withdrawn(links_ended=ended))


_ALL = "/tenants/{slug}/invitations"
OPERATIONS = (
    Operation(
        "invite",
        "POST",
        _ALL,
        USERS_WRITE,
        "Invite somebody, by a letter or by a link that is shown once",
        _invite,
        answer=InvitationDocument,
        body=NewInvitation,
        status=201,
        refusals=(Existing, InsufficientScope, MailNotConfigured),
    ),
    Operation(
        "withdraw_invitations",
        "DELETE",
        _ALL,
        USERS_WRITE,
        "Withdraw the invitations that went to an address, or that were made out to a name",
        _withdraw,
        answer=Withdrawn,
        query=UninviteQuery,
    ),
)
