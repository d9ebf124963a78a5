"""The admin API: ``/v1`` on the management listener, and ``{issuer}/admin/v1`` for a tenant's own administrators."""
