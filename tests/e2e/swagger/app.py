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
ISSUER, AUDIENCE = f"http://localhost:{PORT}/t/acme", f"http://127.0.0.1:{PORT}"
FILES = Path(__file__).parent / "node_modules" / "swagger-ui-dist"
UI: dict[str, Any] = {
    f"swagger_{kind}_url": f"/ui/{name}" for kind, name in (("js", "swagger-ui-bundle.js"), ("css", "swagger-ui.css"))
}

app = FastAPI(docs_url=None)
app.mount("/ui", StaticFiles(directory=FILES))
bearer = OAuth2PasswordBearer(tokenUrl=f"{ISSUER}/token")
keys = jwt.PyJWKClient(f"{ISSUER}/jwks")


@app.get("/docs", include_in_schema=False)
def docs() -> HTMLResponse:
    return get_swagger_ui_html(
        openapi_url="/openapi.json", title="API", swagger_favicon_url="/ui/favicon-32x32.png", **UI
    )


@app.get("/me")
def me(token: Annotated[str, Depends(bearer)]) -> Any:
    key = keys.get_signing_key_from_jwt(token)
    return jwt.decode(token, key, algorithms=["ES256"], issuer=ISSUER, audience=AUDIENCE)
