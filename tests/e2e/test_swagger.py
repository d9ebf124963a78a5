"""FastAPI's Authorize button in a real browser: its form, its empty Basic, its preflight, whose pages may use it."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.e2e.command import environment
from tests.e2e.demo import Demo
from tests.e2e.eventually import eventually
from tests.e2e.gateway import claims
from tests.e2e.ports import free_port
from tests.e2e.server_process import PASSWORD

_ROOT = Path(__file__).resolve().parents[2]
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_NETWORK_EVENTS = (
    "requestWillBeSent",
    "requestWillBeSentExtraInfo",
    "responseReceived",
    "responseReceivedExtraInfo",
)
_LOGIN = """async ([url, password]) => {
    const form = new URLSearchParams({grant_type: "password", username: "alice", password});
    try {
        const answer = await fetch(url, {method: "POST", body: form, headers: {"X-Requested-With": "XMLHttpRequest"}});
        return {status: answer.status, token: (await answer.json()).access_token};
    } catch (error) {
        return {refused: String(error)};
    }
}"""


@pytest.fixture(scope="module")
def api_port(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The tenant's API, run by uvicorn."""
    port = free_port()
    log_path = tmp_path_factory.mktemp("api") / "uvicorn.log"
    command = [sys.executable, "-m", "uvicorn", "tests.e2e.swagger.app:app", "--port", str(port)]
    with log_path.open("wb") as log:
        running = subprocess.Popen(
            command, env=environment({"GATEWAY_PORT": str(demo.port)}), cwd=_ROOT, stdout=log, stderr=log
        )

    def answers() -> bool:
        assert running.poll() is None, log_path.read_text()
        try:
            return httpx.get(f"http://127.0.0.1:{port}/openapi.json", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    try:
        eventually(answers, within=30, what="the API answers")
        yield port
    finally:
        running.terminate()
        running.wait(10)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    assert path is not None, f"none of {', '.join(_BROWSERS)} is installed"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    made = browser.new_page()
    made.set_default_timeout(20_000)
    yield made
    made.close()


@pytest.fixture
def traffic(page: Page) -> list[dict[str, Any]]:
    """What the browser's network stack did, preflights included, which pages and Playwright's own events never see."""
    seen: list[dict[str, Any]] = []
    session = page.context.new_cdp_session(page)

    def note(event: dict[str, Any]) -> None:
        seen.append(event)

    for name in _NETWORK_EVENTS:
        session.on(f"Network.{name}", note)
    session.send("Network.enable")
    return seen


def _merged(traffic: list[dict[str, Any]], method: str, path: str) -> dict[str, Any]:
    """The last request of this method to this path, with its header fields as they were on the wire and its answer."""
    sent = [e for e in traffic if "request" in e and e["request"]["method"] == method and path in e["request"]["url"]]
    assert sent, f"there was no {method} to {path}"
    mine = [event for event in traffic if event["requestId"] == sent[-1]["requestId"]]
    answer = next(event["response"] for event in mine if "response" in event)
    asked = {**sent[-1]["request"]["headers"]}
    told = {**answer["headers"]}
    for event in mine:
        if "headers" in event:
            (told if "statusCode" in event else asked).update(event["headers"])
    return {
        "initiator": sent[-1]["initiator"]["type"],
        "status": answer["status"],
        "asked": {name.lower(): value for name, value in asked.items()},
        "told": {name.lower(): value for name, value in told.items()},
    }


def test_the_authorize_button_gets_a_token_that_the_api_accepts(
    demo: Demo, api_port: int, page: Page, traffic: list[dict[str, Any]]
) -> None:
    page.goto(f"http://127.0.0.1:{api_port}/docs")
    page.get_by_role("button", name="Authorize").click()
    form = page.locator(".auth-container")
    form.get_by_label("username").fill("alice")
    form.get_by_label("password", exact=False).first.fill(PASSWORD)
    form.locator("button.authorize").click()
    expect(form.get_by_text("Logout", exact=True)).to_be_visible()
    form.get_by_text("Close", exact=True).click()
    page.locator(".opblock-summary", has_text="/me").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    answer = page.locator(".live-responses-table tbody tr").first
    expect(answer.locator(".response-col_status")).to_contain_text("200")

    origin = f"http://127.0.0.1:{api_port}"
    preflight = _merged(traffic, "OPTIONS", "/t/acme/token")
    assert (preflight["initiator"], preflight["status"]) == ("preflight", 204)
    assert preflight["asked"]["origin"] == origin
    assert preflight["told"]["access-control-allow-origin"] == origin
    assert "access-control-allow-credentials" not in preflight["told"]
    wanted = {name.strip() for name in preflight["asked"]["access-control-request-headers"].lower().split(",")}
    assert wanted == {"authorization", "x-requested-with"}
    assert wanted <= {name.strip() for name in preflight["told"]["access-control-allow-headers"].lower().split(",")}

    post = _merged(traffic, "POST", "/t/acme/token")
    assert post["asked"]["authorization"] == "Basic Og=="  # ":", no client at all
    assert post["status"] == 200

    sent = _merged(traffic, "GET", "/me")["asked"]["authorization"]
    said = claims(sent.removeprefix("Bearer "))
    shown = answer.locator(".response-col_description").inner_text()
    assert said["sub"] in shown
    assert said["client_id"] == "demo-app"
    assert said["iss"] == f"http://localhost:{demo.port}/t/acme"
    assert said["iss"] in shown


def test_a_wrong_password_is_shown_on_the_page(api_port: int, page: Page) -> None:
    page.goto(f"http://127.0.0.1:{api_port}/docs")
    page.get_by_role("button", name="Authorize").click()
    form = page.locator(".auth-container")
    form.get_by_label("username").fill("alice")
    form.get_by_label("password", exact=False).first.fill("another")
    form.locator("button.authorize").click()
    expect(form.locator(".errors")).to_contain_text("invalid_grant")  # the refusal has its CORS header too


def test_a_page_of_an_unlisted_origin_is_refused_by_the_browser(demo: Demo, api_port: int, page: Page) -> None:
    url = f"http://localhost:{demo.port}/t/acme/token"
    page.goto(f"http://localhost:{api_port}/openapi.json")
    allowed = page.evaluate(_LOGIN, [url, PASSWORD])
    assert allowed["status"] == 200
    assert allowed["token"]
    page.goto(f"http://evil.localhost:{api_port}/openapi.json")
    with page.expect_console_message(lambda message: "CORS policy" in message.text) as why:
        assert page.evaluate(_LOGIN, [url, PASSWORD]) == {"refused": "TypeError: Failed to fetch"}
    assert "No 'Access-Control-Allow-Origin' header" in why.value.text


def test_the_api_refuses_a_token_of_another_tenant(demo: Demo, api_port: int) -> None:
    form = {"grant_type": "password", "username": "carol", "password": PASSWORD}
    issuers = f"http://localhost:{demo.port}/t"
    carols = httpx.post(f"{issuers}/globex/token", data=form, trust_env=False).json()["access_token"]
    alices = httpx.post(f"{issuers}/acme/token", data={**form, "username": "alice"}, trust_env=False).json()
    api = f"http://127.0.0.1:{api_port}/me"

    def ask(token: str) -> int:
        return httpx.get(api, headers={"Authorization": f"Bearer {token}"}, trust_env=False).status_code

    assert ask(alices["access_token"]) == 200
    assert ask(carols) == 500  # the twelve lines let PyJWT's error go: its key is in no JWKS of acme's
