"""The demo, administered over HTTP by who logged in with the client of the command line, in a browser."""

import html
import re
from collections.abc import Iterator

import httpx
import pytest

from gateway.cli.demo_data import PASSWORD
from tests.e2e.demo import Demo

_DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


def fill(browser: httpx.Client, page: httpx.Response, **values: str) -> httpx.Response:
    """Send the page's first form with what stands in it and ``values``."""
    form = re.search(r"<form.*?</form>", page.text, re.DOTALL)
    assert form is not None, page.text
    action = re.search(r'<form[^>]* action="([^"]*)"', form[0])
    fields: dict[str, str] = {}
    for tag in re.findall(r"<(?:input|button)[^>]*>", form[0]):
        attributes = dict(re.findall(r'([a-z_]+)="([^"]*)"', tag))
        if "name" in attributes and attributes.get("type") != "checkbox":
            fields.setdefault(attributes["name"], html.unescape(attributes.get("value", "")))
    to = page.url.join(html.unescape(action[1])) if action else page.url
    origin = f"{page.url.scheme}://{page.url.netloc.decode()}"
    return browser.post(to, data={**fields, **values}, headers={"Origin": origin})


def token(issuer: str, user: str, browser: httpx.Client) -> str:
    """As docs/admin-api.md says: a device's code, allowed by who logs in."""
    started = browser.post(f"{issuer}/device", data={"client_id": "yett-cli"}).json()
    page = browser.get(started["verification_uri_complete"])
    if "/login" in page.url.path:
        page = fill(browser, page, username=user, password=PASSWORD)
    page = fill(browser, page)
    page = fill(browser, page, decision="allow")
    assert "Your device is connected" in page.text
    form = {"grant_type": _DEVICE, "client_id": "yett-cli", "device_code": started["device_code"]}
    return str(browser.post(f"{issuer}/token", data=form).json()["access_token"])


@pytest.fixture
def browser() -> Iterator[httpx.Client]:
    with httpx.Client(follow_redirects=True, trust_env=False) as client:
        yield client


def test_alice_administers_acme_at_its_issuer(demo: Demo, browser: httpx.Client) -> None:
    issuer = f"http://localhost:{demo.port}/t/acme"
    authorization = {"Authorization": f"Bearer {token(issuer, 'alice', browser)}"}
    made = browser.post(f"{issuer}/admin/v1/roles", headers=authorization, json={"name": "clerk", "scopes": ["x"]})
    assert (made.status_code, made.headers["location"]) == (201, "/t/acme/admin/v1/roles/clerk")
    management = f"http://localhost:{demo.management_port}"
    assert browser.get(f"{management}/v1/tenants/acme/roles/clerk", headers=authorization).json() == made.json()
    assert browser.get(f"{management}/v1/tenants/globex", headers=authorization).status_code == 404
    gone = browser.delete(f"{issuer}/admin/v1/roles/clerk", headers={**authorization, "If-Match": made.headers["etag"]})
    assert gone.status_code == 204


def test_the_first_operator_administers_every_tenant(demo: Demo, browser: httpx.Client) -> None:
    link = re.search(r"^  (http://localhost:\d+/t/platform/invite\?token=yic_\S+)$", demo.banner, re.MULTILINE)
    assert link is not None
    page = browser.get(link[1])
    assert "Accept the invitation" in page.text
    assert "operator" in page.text
    fill(browser, page, password=PASSWORD)
    issuer = f"http://localhost:{demo.port}/t/platform"
    authorization = {"Authorization": f"Bearer {token(issuer, 'operator', browser)}"}
    management = f"http://localhost:{demo.management_port}"
    listed = browser.get(f"{management}/v1/tenants", headers=authorization).json()["items"]
    assert {"acme", "globex", "platform"} <= {each["slug"] for each in listed}
    assert browser.get(f"{management}/openapi.json", headers=authorization).json()["openapi"] == "3.1.0"
    assert browser.get(f"http://localhost:{demo.port}/t/acme/admin/v1/users", headers=authorization).status_code == 401
    assert browser.get(f"{management}/v1/tenants").headers["www-authenticate"] == 'Bearer realm="yett admin"'
