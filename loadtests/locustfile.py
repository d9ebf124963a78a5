"""Load on a running gateway: users that log in, call an API with their token, refresh and revoke it; and attackers.

By default it runs against ``yett demo``; docs/load-testing.md says how to run it against another installation, and how
to read the table. A user holds one session and takes steps by ``--mix``; whoever needs a token and has none logs in.
The password comes from the environment (``LOAD_PASSWORD``), since an argument is visible to everyone on the machine.
"""

import os
import random
import sys
import time
from collections.abc import Iterator
from typing import Any

import gevent
from locust import LoadTestShape, events, task
from locust.argument_parser import LocustArgumentParser
from locust.contrib.fasthttp import FastHttpUser
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner
from scenarios import options, rows
from scenarios.accounts import Account, Turn, Turns, share
from scenarios.attack import Attacker
from scenarios.bars import Row
from scenarios.browser import Browser
from scenarios.exchange import Exchange
from scenarios.mix import Mix
from scenarios.session import Session, Target
from scenarios.shapes import users_at

DEMO_PASSWORD = "correct horse battery staple"


@events.init_command_line_parser.add_listener
def _options(parser: LocustArgumentParser) -> None:
    options.add(parser)


@events.init.add_listener
def check_options(environment: Environment, **_: Any) -> None:
    """What is wrong with them ends the run before the first request; what was missed is said below the table."""
    if environment.parsed_options is None:
        return
    try:
        options.check(environment.parsed_options)
    except ValueError as error:
        raise SystemExit(f"load test: {error}") from error
    if not isinstance(environment.runner, WorkerRunner):
        environment.events.quit.add_listener(lambda **_: _say(missed(environment)))


@events.test_start.add_listener
def share_out(environment: Environment, **_: Any) -> None:
    """Each load generator gets accounts of its own, since a code of an authenticator is taken once."""
    runner, given = environment.runner, environment.parsed_options
    if isinstance(runner, MasterRunner):
        given.load_generators = runner.worker_count  # what stands in here, locust sends to them before they begin
        return
    index, count = (runner.worker_index, given.load_generators) if isinstance(runner, WorkerRunner) else (0, 1)
    Person.accounts = share(options.accounts(given), index, count)
    Person.turns = Turns(Person.accounts)


@events.quitting.add_listener
def exit_code(environment: Environment, **_: Any) -> None:
    """0: all that was asked for was reached. 1: something was not, and it is said what. 2: no request was made."""
    if environment.parsed_options is None:
        return
    if isinstance(environment.runner, WorkerRunner):
        environment.process_exit_code = 0  # whoever adds them up judges
    elif environment.stats.total.num_requests == 0:
        environment.process_exit_code = 2
    else:
        environment.process_exit_code = 1 if missed(environment) else 0


def missed(environment: Environment) -> list[str]:
    """A sentence for each bar that was not reached."""
    total = environment.stats.total
    if total.num_requests == 0:
        return ["no request was made"]
    seconds = max(total.last_request_timestamp - total.start_time, 1.0)
    seen = {} if environment.runner is None else environment.runner.exceptions
    errors = sum(int(entry["count"]) for entry in seen.values())
    return options.bars(environment.parsed_options).missed(_rows(environment), seconds=seconds, errors=errors)


def _rows(environment: Environment) -> Iterator[Row]:
    for entry in environment.stats.entries.values():
        yield Row(entry.name, entry.num_requests, entry.num_failures, entry.response_times)


def _say(sentences: list[str]) -> None:
    for sentence in sentences:
        print(f"load test: {sentence}", file=sys.stderr)


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
    """One user: a session, a browser, and what an attacker does, of which the mix takes what it wants."""

    host = "http://localhost:8080"
    accounts: tuple[Account, ...] = ()
    turns: Turns

    def __init__(self, environment: Environment) -> None:
        given: Any = environment.parsed_options
        self.host = given.identity_url
        super().__init__(environment)
        self.options: Any = given
        self.rng = random.Random()
        self.mix = Mix.parse(given.mix, options.STEPS)
        self.api_mix = Mix.parse(given.api_mix, options.CALLS)
        password = os.environ.get("LOAD_PASSWORD", DEMO_PASSWORD)
        target = Target(given.identity_url.rstrip("/"), given.api_url.rstrip("/"), given.client_id, given.scope)
        exchange = Exchange(self.client, given.spread, given.on_retry_after == "fail", given.max_wait)
        self.session = Session(exchange, target, password, self.rng)
        self.browser = Browser(exchange, target, password, given.redirect_uri)
        self.attacker = Attacker(exchange, target, given.networks, self.rng)

    def wait_time(self) -> float:
        """Exponential pauses, as independent people make them."""
        return self.rng.expovariate(1 / self.options.think) if self.options.think > 0 else 0.0

    @task
    def step(self) -> None:
        match self.mix.choose(self.rng):
            case "login":
                self.session.log_in(self.turn())
            case "page":
                self.browser.log_in(self.turn())
            case "code":
                self.browser.code_flow(self.turn(), self.session)
            case "stuffing":
                self.attacker.attempt(self.accounts)
            case "refresh":
                if self.hold_session():
                    self.session.refresh()
            case "api":
                self.hold_session()
                self.session.call(self.api_mix, self.accounts[0])
            case "revoke":
                if self.hold_session():
                    self.revoke()

    def turn(self) -> Turn:
        """Whose login it is; if all codes of this half minute are used, with the next one."""
        while not isinstance(found := self.turns.next(time.time()), Turn):
            gevent.sleep(found)
        return found

    def hold_session(self) -> bool:
        """Refresh or log in if need be, the latter by the code flow where the mix has that and no password grant."""
        if self.session.expires_within(self.options.renew_before):
            self.session.refresh()
        if not self.session.stands:
            if "code" in self.mix.names and "login" not in self.mix.names:
                self.browser.code_flow(self.turn(), self.session)
            else:
                self.session.log_in(self.turn())
        return self.session.stands

    def revoke(self) -> None:
        """The time until the API refuses the token is a row of its own."""
        done = self.session.revoke(self.options.revoked_within)
        if done is None:
            return
        milliseconds, wrong = done
        self.environment.events.request.fire(
            request_type="WAIT",
            name=rows.REFUSED,
            response_time=milliseconds,
            response_length=0,
            exception=wrong,
            context={},
        )
