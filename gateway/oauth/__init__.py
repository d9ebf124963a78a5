"""The OAuth2 provider: one issuer per tenant under ``/t/{slug}``."""
