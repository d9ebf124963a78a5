"""Load on a running gateway: users that log in, call an API with their token, and refresh it. See docs/load-testing.md.

By default it runs against ``yett demo``. A user holds one session: it logs in once, then takes steps by ``--mix``. The
step ``page`` is a login in a browser, which keeps its device cookie from one to the next and forgets its session.
The password comes from the environment (``LOAD_PASSWORD``), since an argument is visible to everyone on the machine.
"""

import itertools
import json
import os
import random
import time
from typing import Any, assert_never

import gevent
from locust import LoadTestShape, events, task
from locust.argument_parser import LocustArgumentParser
from locust.contrib.fasthttp import FastHttpUser
from locust.env import Environment
from scenarios.answers import Answer, Done, Failed, Wait, judge, tenants_seen
from scenarios.forms import hidden_fields
from scenarios.mix import Mix, accounts
from scenarios.shapes import SHAPES, users_at

STEPS = ("login", "page", "api", "refresh")
CALLS = ("read", "write", "public")
DEMO_PASSWORD = "correct horse battery staple"
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@events.init_command_line_parser.add_listener
def options(parser: LocustArgumentParser) -> None:
    """Every option with its unit and default."""
    group = parser.add_argument_group("Yett")
    group.add_argument("--identity-url", default="http://localhost:8080", help="public_url of the gateway")
    group.add_argument("--api-url", default="http://127.0.0.1:8080", help="base URL of the API behind it")
    group.add_argument(
        "--tenants", default="acme:alice,globex:carol", metavar="TENANT:USER,...", help="who logs in, in turn"
    )
    group.add_argument("--client-id", default="demo-app", help="a public client with the password grant")
    group.add_argument("--scope", default="", help="scopes to ask for; empty: the client's default")
    group.add_argument(
        "--mix", default="login:1,page:1,api:200,refresh:2", help="weights of the steps login, page, api, refresh"
    )
    group.add_argument("--api-mix", default="read:8,write:1,public:1", help="weights of the calls read, write, public")
    group.add_argument(
        "--think", type=float, default=0.1, metavar="SECONDS", help="mean pause between two steps; 0: none"
    )
    group.add_argument(
        "--renew-before", type=float, default=30, metavar="SECONDS", help="refresh this long before expiry"
    )
    group.add_argument("--shape", choices=SHAPES, default="constant", help="how the number of users goes over time")
    group.add_argument(
        "--peak", type=int, default=0, metavar="USERS", help="most users of ramp and spike; 0: 4 x --users"
    )
    group.add_argument(
        "--period", type=float, default=60, metavar="SECONDS", help="length of a ramp, distance of spikes"
    )
    group.add_argument(
        "--on-retry-after",
        choices=("wait", "fail"),
        default="wait",
        help="429, 503 with Retry-After: a row, or a failure",
    )
    group.add_argument("--max-wait", type=float, default=30, metavar="SECONDS", help="longest wait for a Retry-After")
    group.add_argument("--max-failures", type=int, default=0, metavar="N", help="more failures than this exit with 1")


@events.init.add_listener
def check_options(environment: Environment, **_: Any) -> None:
    """A misspelt option ends the run before the first request."""
    given: Any = environment.parsed_options
    if given is None:
        return
    try:
        Mix.parse(given.mix, STEPS)
        Mix.parse(given.api_mix, CALLS)
        accounts(given.tenants)
        if given.period <= 0:
            raise ValueError("--period must be longer than nothing")
    except ValueError as error:
        raise SystemExit(f"load test: {error}") from error


@events.quitting.add_listener
def exit_code(environment: Environment, **_: Any) -> None:
    """0: few enough failures. 1: too many, or an error of the test itself. 2: no request was made."""
    total = environment.stats.total
    given: Any = environment.parsed_options
    if given is None:
        return
    failures = total.num_failures + (0 if environment.runner is None else _exceptions(environment.runner.exceptions))
    if total.num_requests == 0:
        environment.process_exit_code = 2
    else:
        environment.process_exit_code = 1 if failures > given.max_failures else 0


def _exceptions(seen: dict[Any, Any]) -> int:
    return sum(int(entry["count"]) for entry in seen.values())


class Shape(LoadTestShape):
    """``--shape`` over the time of the run; ``--users``, ``--spawn-rate`` and ``--run-time`` as ever."""

    use_common_options = True

    def tick(self) -> tuple[int, float] | None:
        if self.runner is None:
            return None
        given: Any = self.runner.environment.parsed_options
        seconds = self.get_run_time()
        if given.run_time and seconds >= float(given.run_time):
            return None
        users = given.num_users or 1
        peak = given.peak or 4 * users
        count = users_at(given.shape, seconds, users=users, peak=peak, period=given.period)
        return count, max(given.spawn_rate or 1, peak if given.shape == "spike" else 1)


class Person(FastHttpUser):
    """One user of one tenant with one session. Tokens stay in memory and are never part of a row's name."""

    host = "http://localhost:8080"
    turns = itertools.count()

    def __init__(self, environment: Environment) -> None:
        given: Any = environment.parsed_options
        self.host = given.identity_url
        super().__init__(environment)
        known = accounts(given.tenants)
        self.account = known[next(self.turns) % len(known)]
        self.options: Any = given
        self.rng = random.Random()
        self.mix = Mix.parse(given.mix, STEPS)
        self.api_mix = Mix.parse(given.api_mix, CALLS)
        self.password = os.environ.get("LOAD_PASSWORD", DEMO_PASSWORD)
        self.origin = given.identity_url.rstrip("/")
        self.issuer = f"{self.origin}/t/{self.account.tenant}"
        self.api = given.api_url.rstrip("/")
        self.access_token = self.refresh_token = ""
        self.expires_at = 0.0

    def wait_time(self) -> float:
        """Exponential pauses, as independent people make them."""
        return self.rng.expovariate(1 / self.options.think) if self.options.think > 0 else 0.0

    @task
    def step(self) -> None:
        chosen = self.mix.choose(self.rng)
        if not self.access_token or chosen == "login":
            self.log_in()
        elif chosen == "refresh" or time.monotonic() > self.expires_at - self.options.renew_before:
            self.refresh()
        if chosen == "api":
            self.call()
        elif chosen == "page":
            self.log_in_by_page()

    def log_in(self) -> None:
        form = {"grant_type": "password", "username": self.account.username, "password": self.password}
        self._token("login", form)

    def refresh(self) -> None:
        if not self.refresh_token:
            self.log_in()
            return
        self._token("refresh", {"grant_type": "refresh_token", "refresh_token": self.refresh_token})

    def log_in_by_page(self) -> None:
        """The login page, its form, and where that leads: the account."""
        self.client.cookiejar.clear_session_cookies()
        page, body = self._request("/login", "GET", f"{self.issuer}/login")
        if not isinstance(page, Done):
            return
        form = {**hidden_fields(body), "username": self.account.username, "password": self.password}
        headers = {**_FORM, "Origin": self.origin}
        sent, _ = self._request(
            "/login", "POST", f"{self.issuer}/login", 303, data=form, headers=headers, allow_redirects=False
        )
        if isinstance(sent, Done):
            self._request("/account", "GET", f"{self.issuer}/account", allow_redirects=False)

    def call(self) -> None:
        """One call of the API. Without a token (a login was refused) there is nothing to call with."""
        number = self.rng.randrange(1_000_000)
        match self.api_mix.choose(self.rng):
            case "public":
                self._request("/public/N", "GET", f"{self.api}/public/{number}")
            case _ if not self.access_token:
                return
            case "read":
                self._request("/orders/N", "GET", f"{self.api}/orders/{number}", own=True)
            case "write":
                self._request("/orders", "POST", f"{self.api}/orders", own=True, json={"number": number})

    def _token(self, name: str, form: dict[str, str]) -> None:
        fields = {**form, "client_id": self.options.client_id}
        if self.options.scope:
            fields["scope"] = self.options.scope
        url = f"{self.issuer}/token"
        match self._request(f"/token {name}", "POST", url, data=fields, headers=_FORM):
            case Done(), body:
                said = json.loads(body)
                self.access_token = said["access_token"]
                self.refresh_token = said.get("refresh_token", "")
                self.expires_at = time.monotonic() + float(said["expires_in"])
            case Failed(), _:
                # Whether the refresh token was spent is not known: the next step logs in.
                self.access_token = self.refresh_token = ""
            case Wait(), _:
                pass  # nothing was spent, so the session goes on

    def _request(
        self, name: str, method: str, url: str, expected: int = 200, *, own: bool = False, **more: Any
    ) -> tuple[Answer, bytes]:
        """The answer and its body. ``own``: with this user's token, so the API must see this user's tenant."""
        if own:
            more["headers"] = {"Authorization": f"Bearer {self.access_token}"}
        seconds = 0.0
        with self.client.request(method, url, name=name, catch_response=True, **more) as response:
            headers = response.headers if response.headers is not None else {}
            body = response.content or b""
            error = getattr(response, "error", None)  # locust sets it only where no answer came
            retry_after = headers.get("Retry-After")
            judged = judge(response.status_code, expected, retry_after=retry_after, body=body, error=error)
            answer = self._checked(judged, body, own=own)
            match answer:
                case Done():
                    response.success()
                case Wait(status, asked):
                    response.request_meta["name"] = f"{name} [{status}, told to wait]"
                    response.success()
                    seconds = min(float(asked), self.options.max_wait)
                case Failed(text):
                    response.failure(text)
                case other:
                    assert_never(other)
        # Behind the block, so that the pause is no part of the request.
        gevent.sleep(seconds)
        return answer, body

    def _checked(self, answer: Answer, content: bytes, *, own: bool) -> Answer:
        match answer:
            case Wait(status, _) if self.options.on_retry_after == "fail":
                return Failed(f"{status} with Retry-After")
            case Done() if own and tenants_seen(content) not in (None, [self.account.tenant]):
                return Failed("the API saw another tenant")
            case _:
                return answer
