"""The API that a reader of FastAPI's tutorial would write: its own docs page, and one address that wants a token.

``GATEWAY_PORT`` is the demo's port. Swagger UI's files are those of the npm package, served from here.
"""

import os
from pathlib import Path
from typing import Annotated, Any

import jwt
from fastapi import Depends, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.security import OAuth2PasswordBearer
from fastapi.staticfiles import StaticFiles

PORT = os.environ["GATEWAY_PORT"]
FILES = Path(__file__).parent / "node_modules" / "swagger-ui-dist"

app = FastAPI(docs_url=None)
app.mount("/ui", StaticFiles(directory=FILES))
bearer = OAuth2PasswordBearer(tokenUrl=f"http://localhost:{PORT}/t/acme/token")
keys = jwt.PyJWKClient(f"http://localhost:{PORT}/t/acme/jwks")


@app.get("/docs", include_in_schema=False)
def docs() -> HTMLResponse:
    files = {"swagger_js_url": "/ui/swagger-ui-bundle.js", "swagger_css_url": "/ui/swagger-ui.css"}
    return get_swagger_ui_html(openapi_url="/openapi.json", title="API", swagger_favicon_url="/ui/favicon-32x32.png", **files)  # fmt: skip


@app.get("/me")
def me(token: Annotated[str, Depends(bearer)]) -> dict[str, Any]:
    key, issuer, audience = keys.get_signing_key_from_jwt(token), f"http://localhost:{PORT}/t/acme", f"http://127.0.0.1:{PORT}"
    claims: dict[str, Any] = jwt.decode(token, key, algorithms=["ES256"], issuer=issuer, audience=audience)
    return claims
