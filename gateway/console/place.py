"""Where the console is: on the management listener for operators, or below a tenant's issuer for its administrators."""

from dataclasses import dataclass

from tenants.snapshot import TenantFacts

CLIENT_ID = "yett-console"


@dataclass(frozen=True, slots=True)
class Place:
    """``tenant`` is who logs people in here, ``base`` the path that the browser sees before every page's,
    ``below`` what it sees of the request's own.
    """

    tenant: TenantFacts
    operators: bool
    base: str
    below: str

    @property
    def callback(self) -> str:
        """Where a login comes back."""
        return f"{self.base}/callback"

    def of_tenant(self, slug: str) -> str:
        """The path of a tenant's pages."""
        return f"{self.base}/tenants/{slug}" if self.operators else self.base

    def api_path(self, path: str) -> str:
        """An operation's path (``/tenants/{slug}/users``) as the admin API has it here."""
        if self.operators:
            return f"/v1{path}"
        below = path.removeprefix(f"/tenants/{self.tenant.slug}")
        return f"/t/{self.tenant.slug}/admin/v1{below or '/tenant'}"
