"""Every option of the load test with its unit and default, and what is wrong with those that were given."""

from pathlib import Path
from typing import Any

from scenarios.accounts import FACTORS, Account, named, of_factor, read
from scenarios.bars import Bars
from scenarios.exchange import SPREADS
from scenarios.mix import Mix
from scenarios.shapes import SHAPES

STEPS = ("login", "page", "code", "api", "refresh", "revoke", "stuffing")
CALLS = ("read", "write", "public")


def add(parser: Any) -> None:
    """To locust's own."""
    group = parser.add_argument_group("Yett")
    group.add_argument("--identity-url", default="http://localhost:8080", help="public_url of the gateway")
    group.add_argument("--api-url", default="http://127.0.0.1:8080", help="base URL of the API behind it")
    group.add_argument(
        "--tenants", default="acme:alice,globex:carol", metavar="TENANT:USER,...", help="who logs in, in turn"
    )
    group.add_argument("--accounts", default="", metavar="FILE", help="who logs in, as loadtests/seed.py writes it")
    group.add_argument(
        "--factor", choices=FACTORS, default="without", help="log in as those with, or without, an authenticator"
    )
    group.add_argument("--client-id", default="demo-app", help="a public client with the grants that the mix needs")
    group.add_argument("--redirect-uri", default="http://127.0.0.1:9000/callback", help="of the client, for `code`")
    group.add_argument("--scope", default="", help="scopes to ask for; empty: the client's default")
    group.add_argument(
        "--mix", default="login:1,page:1,api:200,refresh:2", help=f"weights of the steps {', '.join(STEPS)}"
    )
    group.add_argument("--api-mix", default="read:8,write:1,public:1", help="weights of the calls read, write, public")
    group.add_argument(
        "--think", type=float, default=0.1, metavar="SECONDS", help="mean pause between two steps; 0: none"
    )
    group.add_argument(
        "--renew-before", type=float, default=30, metavar="SECONDS", help="refresh this long before expiry"
    )
    group.add_argument(
        "--spread",
        choices=SPREADS,
        default="no",
        help="send an X-Forwarded-For: one for each account (and attacker), or for each request",
    )
    group.add_argument("--networks", type=int, default=1000, metavar="N", help="that `stuffing` comes from, if spread")
    group.add_argument(
        "--revoked-within", type=float, default=2, metavar="SECONDS", help="a revoked token taken longer is a failure"
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
    group.add_argument(
        "--max-failures", type=int, metavar="N", help="more failures exit with 1; default: 0, without --fail-ratio"
    )
    group.add_argument("--fail-ratio", type=float, metavar="SHARE", help="a larger share of failures exits with 1")
    group.add_argument("--fail-p99", default="", metavar="KIND=MS,...", help="a slower kind of request exits with 1")
    group.add_argument("--fail-rps", default="", metavar="KIND=N,...", help="fewer done a second exit with 1")


def check(given: Any) -> None:
    """Raises ``ValueError`` with a sentence: a misspelt option ends the run before the first request."""
    Mix.parse(given.mix, STEPS)
    Mix.parse(given.api_mix, CALLS)
    bars(given)
    accounts(given)
    if given.period <= 0:
        raise ValueError("--period must be longer than nothing")
    if not 1 <= given.networks <= 65_536:
        raise ValueError("--networks must be 1 to 65536")


def bars(given: Any) -> Bars:
    """What the run has to reach."""
    return Bars.parse(p99=given.fail_p99, rps=given.fail_rps, ratio=given.fail_ratio, failures=given.max_failures)


def accounts(given: Any) -> tuple[Account, ...]:
    """Everybody who may log in."""
    return of_factor(read(Path(given.accounts)) if given.accounts else named(given.tenants), given.factor)
