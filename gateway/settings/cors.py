"""Which pages of other origins may call an API, as the file writes it: for all routes, and what one has instead."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator

from gateway.settings.addresses import PageOrigin, page_origin
from gateway.settings.section import Section
from gateway.settings.units import Duration, Flag, within
from policies.cross_origin import EVERY_PAGE, PageRules

_FIELD_NAME = re.compile(r"[A-Za-z0-9-]{1,100}")


def _field_name(value: object) -> str:
    if isinstance(value, str) and _FIELD_NAME.fullmatch(value):
        return value
    raise ValueError("must be the name of a header field: up to 100 letters, digits and hyphens")


def _route_origin(value: object) -> str:
    return EVERY_PAGE if value == EVERY_PAGE else page_origin(value)


FieldName = Annotated[str, BeforeValidator(_field_name)]
RouteOrigin = Annotated[str, BeforeValidator(_route_origin)]
PreflightAge = Annotated[Duration, within("0s", "1d")]


class Cors(Section):
    """Which pages of other origins may call the APIs. Without any, what upstreams say of origins is passed on."""

    origins: tuple[PageOrigin, ...] = ()
    client_origins: Flag = False
    headers: tuple[FieldName, ...] | None = None
    expose: tuple[FieldName, ...] = ()
    credentials: Flag = False
    max_age: PreflightAge = timedelta(minutes=10)

    @property
    def rules(self) -> PageRules | None:
        """None where no page may: then nothing is said at all."""
        if not self.origins and not self.client_origins:
            return None
        return PageRules(
            origins=frozenset(self.origins),
            headers=self.headers,
            expose=self.expose,
            credentials=self.credentials,
            max_age=int(self.max_age.total_seconds()),
            registered=self.client_origins,
        )


class RouteCors(Section):
    """What a route has in place of ``cors``, field by field."""

    origins: tuple[RouteOrigin, ...] | None = None
    client_origins: Flag | None = None
    headers: tuple[FieldName, ...] | None = None
    expose: tuple[FieldName, ...] | None = None
    credentials: Flag | None = None
    max_age: PreflightAge | None = None

    def over(self, below: Cors) -> Cors:
        """The two together. ``*`` may stand in its origins."""
        said = {name: getattr(self, name) for name in self.model_fields_set}
        return below.model_copy(update=said)
