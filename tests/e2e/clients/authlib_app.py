"""A web application as Authlib's page for Flask has it: what it knows of the provider is one address."""

import secrets
from dataclasses import dataclass, field
from typing import Any

from authlib.integrations.flask_client import OAuth, OAuthError
from flask import Flask
from werkzeug.wrappers import Response

SCOPE = "openid profile orders:read"


@dataclass
class Desk:
    """What the application holds of the one person who comes by. A real one has a database."""

    token: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    renewed: list[dict[str, Any]] = field(default_factory=list)
    userinfo: list[dict[str, Any]] = field(default_factory=list)


def application(registration: dict[str, Any], desk: Desk, **request: str) -> tuple[Flask, OAuth]:
    """``request``: further parameters of the authorization request."""
    app = Flask(__name__)
    app.secret_key = secrets.token_bytes(32)

    def renewed(name: str, token: dict[str, Any], **_: Any) -> None:
        desk.renewed.append(dict(token))

    oauth = OAuth(app, update_token=renewed)
    oauth.register(
        "yett",
        client_id=registration["client_id"],
        client_secret=registration["client_secret"],
        server_metadata_url=f"{registration['issuer']}/.well-known/openid-configuration",
        authorize_params={"resource": registration["resource"]},
        client_kwargs={"scope": SCOPE, "code_challenge_method": "S256"},
    )

    @app.get("/login")
    def login() -> Response:
        return oauth.yett.authorize_redirect(registration["redirect_uri"], **request)

    @app.get("/silent")
    def silent() -> Response:
        return oauth.yett.authorize_redirect(registration["redirect_uri"], prompt="none")

    @app.route("/callback", methods=["GET", "POST"])
    def callback() -> str:
        desk.token = oauth.yett.authorize_access_token()
        desk.claims = dict(desk.token.pop("userinfo"))  # verified: signature, iss, aud, exp, nonce, at_hash
        return "<h1>Welcome</h1>"

    @app.get("/profile")
    def profile() -> str:
        desk.userinfo.append(dict(oauth.yett.userinfo(token=desk.token)))
        return "<h1>Profile</h1>"

    @app.get("/logout")
    def logout() -> Response:
        return oauth.yett.logout_redirect(
            registration["post_logout_redirect_uri"], id_token_hint=desk.token["id_token"]
        )

    @app.get("/goodbye")
    def goodbye() -> str:
        oauth.yett.validate_logout_response()
        return "<h1>Goodbye</h1>"

    @app.get("/favicon.ico")
    def icon() -> tuple[str, int]:
        return "", 204

    @app.errorhandler(OAuthError)
    def refused(error: OAuthError) -> tuple[str, int]:
        return f"<h1>Refused: {error.error}</h1>", 400

    return app, oauth
