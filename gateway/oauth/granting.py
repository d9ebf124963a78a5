"""What the token endpoint is made of: every grant that there is, in the one pipeline that they share."""

from gateway.authn.password_attempt import PasswordCheck
from gateway.installation import Installation
from gateway.journal import Journal
from gateway.oauth.client_auth import ClientAuth
from gateway.oauth.dpop import DpopProofs
from gateway.oauth.grants.authorization_code import AuthorizationCodeGrant
from gateway.oauth.grants.client_credentials import ClientCredentialsGrant
from gateway.oauth.grants.device_code import DeviceCodeGrant
from gateway.oauth.grants.mfa_otp import MfaOtpGrant
from gateway.oauth.grants.password import PasswordGrant
from gateway.oauth.grants.refresh_token import RefreshTokenGrant
from gateway.oauth.grants.token_exchange import TokenExchangeGrant
from gateway.oauth.pipeline import TokenPipeline
from gateway.oauth.verified_token import PresentedTokens


def token_pipeline(
    installation: Installation, clients: ClientAuth, dpop: DpopProofs, check: PasswordCheck, tokens: PresentedTokens
) -> TokenPipeline:
    """A new grant is a module beside these and a line here."""
    return TokenPipeline(
        installation.store,
        clients,
        Journal(installation.audit_log.append, installation.clock, installation.settings.database_timeout),
        dpop,
        grants=(
            PasswordGrant(check),
            MfaOtpGrant(),
            AuthorizationCodeGrant(),
            RefreshTokenGrant(),
            DeviceCodeGrant(),
            TokenExchangeGrant(tokens),
        ),
        immediate=(ClientCredentialsGrant(),),
    )
