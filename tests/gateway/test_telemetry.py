"""Logs are JSON lines, one per event, and no secret stands in them, wherever it came from."""

import io
import json
import logging
import string
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from gateway import telemetry
from gateway.cli.acceptance import prepared
from gateway.settings import Log, from_mapping

Entries = Callable[[], list[dict[str, Any]]]
B64 = string.ascii_letters + string.digits + "-_"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Logging as a process has it, and as it was before afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    out = io.StringIO()
    telemetry.configure(Log(level="debug"), out)
    yield out
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


@pytest.fixture
def entries(stream: io.StringIO) -> Entries:
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json_with_a_utc_time(entries: Entries) -> None:
    structlog.get_logger().info("login_refused", reason="bad\npassword", tenant="acme")

    (entry,) = entries()
    assert list(entry)[:3] == ["timestamp", "level", "event"]
    assert (entry["level"], entry["event"], entry["tenant"]) == ("info", "login_refused", "acme")
    assert datetime.fromisoformat(entry["timestamp"]).utcoffset() == timedelta(0)
    assert entry["reason"] == "bad\npassword"


def test_an_event_carries_its_requests_id_and_the_next_does_not(entries: Entries) -> None:
    log = structlog.get_logger()
    with telemetry.request("r-1"):
        log.info("inside")
        logging.getLogger("sqlalchemy.pool").warning("inside too")
    log.info("outside")

    assert [entry.get("request_id") for entry in entries()] == ["r-1", "r-1", None]


@pytest.mark.parametrize(
    "name", ["uvicorn.error", "sqlalchemy.pool", "alembic.runtime.migration", "asyncio", "anything"]
)
def test_a_librarys_log_comes_in_the_same_form(entries: Entries, name: str) -> None:
    logging.getLogger(name).warning("pool %s is at %d", "orders", 7, extra={"color_message": "x"})

    (entry,) = entries()
    assert entry["event"] == "pool orders is at 7"
    assert (entry["level"], entry["logger"]) == ("warning", name)
    assert "color_message" not in entry


def test_access_lines_and_statements_of_libraries_are_not_logged(entries: Entries) -> None:
    logging.getLogger("uvicorn.access").info("GET /callback?code=1")
    logging.getLogger("sqlalchemy.engine").info("INSERT INTO users")

    assert entries() == []


def test_the_level_holds_back_what_is_below_it(stream: io.StringIO) -> None:
    telemetry.configure(Log(level="warning"), stream)
    structlog.get_logger().info("quiet")
    logging.getLogger("alembic").info("quiet")
    structlog.get_logger().error("loud")

    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["loud"]


def test_a_warning_is_a_line_of_the_log(entries: Entries) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("it is old", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(False)

    assert "it is old" in entries()[0]["event"]


def test_an_exception_is_structured_without_locals_and_bounded(entries: Entries) -> None:
    def fail(depth: int) -> None:
        unlucky = "a local variable's value"
        if depth == 0:
            raise ValueError(f"cannot, {'very ' * 5_000}sorry {len(unlucky)}")
        fail(depth - 1)

    try:
        fail(100)
    except ValueError:
        structlog.get_logger().exception("it_failed")
        logging.getLogger("uvicorn.error").exception("it failed")

    for entry in entries():
        assert len(json.dumps(entry)) < 40_000
        assert entry["exception"][0]["exc_type"] == "ValueError"
        assert len(entry["exception"][0]["exc_value"]) <= 4_097
        assert len(entry["exception"][0]["frames"]) <= 25
        assert "a local variable's value" not in json.dumps(entry)


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "Authorization",
        "client_secret",
        "refresh_token",
        "access_token",
        "mfa_token",
        "otp",
        "code",
        "Set-Cookie",
        "cookie",
        "master_key",
        "private_key",
        "recovery_code",
        "device_code",
        "user_password",
        "token",
        "api_key",
    ],
)
def test_a_name_that_means_a_secret_hides_its_value(entries: Entries, name: str) -> None:
    log = structlog.get_logger()
    log.info("x", **{name: "hunter2"})
    log.info("x", nested={"deep": [{name: 123456}]}, headers=[(name.encode(), b"hunter2"), ("accept", "x")])

    text = json.dumps(entries())
    assert "hunter2" not in text
    assert "123456" not in text
    assert "accept" in text


def test_a_name_that_only_sounds_like_one_does_not(entries: Entries) -> None:
    shown = {
        "status_code": 401,
        "token_id": "j-1",
        "token_type": "Bearer",
        "key_id": "k-1",
        "public_key": "pk",
        "count": 3,
    }
    structlog.get_logger().info("x", **shown, password=None)

    assert entries()[0].items() >= {**shown, "password": None}.items()


@pytest.mark.parametrize(
    "text",
    [
        "yrt_hunter2hunter2",
        "path /callback%3Fcode%3Dyac_hunter2hunter2",
        "Bearer hunter2",
        "authorization: bearer%20hunter2",
        "Basic aHVudGVyMg==hunter2",
        "eyJhbGciOiJFUzI1NiJ9.eyJodW50ZXIyIjoxfQ.hunter2",
        "ewogImFsZyI6.eyJpc3MiOiJh.hunter2 ewogImFsZyI6.aaaa.hunter2",
        "postgresql+psycopg://yett_app:hunter2@db/yett",
        "https://hunter2@host/",
        "postgresql://u:p@ss/hunter2@db",
        "GET /t/acme/callback?state=1&code=hunter2&x=1",
        "grant_type=password&username=a&password=hunter2",
        'body {"password": "hunter2 with more", "a": 1}',
        "Input {'client_secret': 'hunter2'}",
        'escaped {\\"otp\\": \\"hunter2\\"}',
        "[SQL: INSERT] [parameters: ('alice', 'hunter2')]\n(Background)",
        "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----",
        "('authorization', 'hunter2')",
        "(b'cookie', b'hunter2')",
        "ALTER ROLE yett_app LOGIN PASSWORD 'hunter2'",
        "alter role yett_app encrypted password 'it''s hunter2'",
        r"CREATE ROLE yett_app PASSWORD  E'a\'b\\\\''hunter2' LOGIN",
        "ALTER ROLE yett_app PASSWORD 'hunter2",
    ],
)
def test_what_looks_like_a_secret_is_masked_in_any_text(entries: Entries, text: str) -> None:
    log = structlog.get_logger()
    log.info(text, field=text, raw=text.encode(), item=[{"x": text}], **{"name of a field " + text: 1})
    logging.getLogger("uvicorn.error").warning("%s", text)
    try:
        raise ValueError(text) from KeyError(text)
    except ValueError:
        log.exception("failed")

    assert "hunter2" not in json.dumps(entries())


@pytest.mark.parametrize(
    "text",
    [
        "unsupported_grant_type",
        "insufficient_user_authentication",
        'Bearer realm="yett", error="invalid_token"',
        "https://auth.example.com/t/acme",
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "/orders/7?page=2",
        "reason=token_missing",
    ],
)
def test_what_is_no_secret_stays_readable(text: str) -> None:
    assert telemetry.mask(text) == text


class Secretive:
    def __str__(self) -> str:
        return "holds yrt_hunter2hunter2"


def test_a_value_of_any_type_is_shown_as_masked_text(entries: Entries) -> None:
    loop: dict[str, Any] = {}
    loop["self"] = loop
    structlog.get_logger().info(
        "x", a=Secretive(), b=SecretStr("hunter2"), c=loop, d={1, 2}, e=[0] * 10_000, f="\ud800"
    )

    (entry,) = entries()
    assert "hunter2" not in json.dumps(entry)
    assert len(entry["e"]) == 200
    assert entry["f"] == "\ud800"


class Presented(NamedTuple):
    """A client, as a request presents it."""

    client_id: str
    secret: str

    def __repr__(self) -> str:
        return f"Presented(client_id={self.client_id!r})"


def test_a_named_tuple_says_itself_what_is_shown_of_it(entries: Entries) -> None:
    structlog.get_logger("test").info("asked", who=Presented("app", "correct horse"), all=[Presented("b", "battery")])
    [entry] = entries()
    assert (entry["who"], entry["all"]) == ("Presented(client_id='app')", ["Presented(client_id='b')"])


def test_the_console_form_lets_no_value_forge_a_line_or_drive_the_terminal(stream: io.StringIO) -> None:
    telemetry.configure(Log(format="console"), stream)
    structlog.get_logger().info("a\nb\x1b[2J", field="c\n\x1b[2J\x9b", password="hunter2")

    line = stream.getvalue()
    assert line.count("\n") == 1
    assert "\x1b" not in line
    assert "\x9b" not in line
    assert "hunter2" not in line
    assert "field=" in line


def test_a_supervisor_takes_another_level_for_the_workers_that_it_starts(
    stream: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = (
        from_mapping({"public_url": "http://localhost:8080", "log": {"level": level}}, source="test")
        for level in ("info", "error")
    )
    prepared(before, after)()
    structlog.get_logger("test").warning("unheard")
    structlog.get_logger("test").error("heard")
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["heard"]


def test_the_default_stream_is_standard_error(stream: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure(Log(), sys.stderr)
    structlog.get_logger().info("here")

    assert "here" in capsys.readouterr().err
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    "text",
    [
        "://" * 6000,
        "Bearer " * 6000,
        "eyJ" * 6000,
        "password='" * 2000,
        "password '" * 2000,
        "password '" + "''" * 8000,
        "password '" + "\\" * 15001,
        "x" * 1000000,
        "e" * 16000,
        "y" * 16000,
        "a." * 8000,
        "ey" + "A." * 8000,
        "-----BEGIN PRIVATE KEY-----" * 600,
        "[parameters: " * 1000,
        "'otp':" * 3000,
    ],
    ids=lambda text: text[:12],
)
def test_masking_a_hostile_text_is_quick(text: str) -> None:
    began = time.process_time()

    assert len(telemetry.mask(text)) <= 4_097
    assert time.process_time() - began < 0.5


def test_cutting_a_long_text_cuts_no_secret_in_two() -> None:
    for before in range(16_340, 16_390):
        text = "a" * 40 + " " + "eyJ" + "b" * before + " postgresql://yett:hunter2hunter2@db/yett"
        assert "hunter2" not in telemetry.mask(text)


_TAILS = st.text(B64, min_size=16, max_size=60)
_SECRETS = st.one_of(
    st.builds("{}_{}".format, st.sampled_from(telemetry.SECRET_PREFIXES), _TAILS),
    st.builds("eyJ{}.eyJ{}.{}".format, _TAILS, _TAILS, _TAILS),
    st.builds("Bearer {}".format, _TAILS),
    st.builds("Basic {}=".format, _TAILS),
    st.builds("postgresql://yett:{}@db/yett".format, st.text(B64 + ":/@%!", min_size=16, max_size=60)),
)
_PLACES = st.sampled_from(["event", "field", "nested", "list", "bytes", "exception", "stdlib", "name", "pair"])
# Nothing that would be the secret's own beginning: then it is not this secret that stands there.
_AROUND = st.text(st.characters(exclude_characters=B64 + "\x00", exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(secret=_SECRETS, place=_PLACES, before=_AROUND, after=_AROUND)
def test_a_random_secret_is_never_in_the_output(
    stream: io.StringIO, secret: str, place: str, before: str, after: str
) -> None:
    body = max(secret.replace("@", " ").replace(":", " ").split(), key=len) if "://" not in secret else secret[18:-8]
    text = f"{before}{secret}{after}"
    log = structlog.get_logger()
    match place:
        case "event":
            log.info(text)
        case "field":
            log.info("x", field=text)
        case "nested":
            log.info("x", field={"a": {"b": text}})
        case "list":
            log.info("x", field=[[text]])
        case "bytes":
            log.info("x", field=text.encode())
        case "name":
            log.info("x", field={text: 1})
        case "pair":
            log.info("x", headers=[("x-forwarded-authorization", text)])
        case "stdlib":
            logging.getLogger("uvicorn.error").warning("%s", text)
        case _:
            try:
                raise RuntimeError(text)
            except RuntimeError:
                log.exception("x")

    written = stream.getvalue()
    assert body not in written + json.dumps([json.loads(line) for line in written.splitlines()], ensure_ascii=False)
    stream.seek(0)
    stream.truncate()


WRITTEN_ANYHOW = "new_password redacted timestamp"


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    secret=st.text(B64 + " \"'\n", min_size=8, max_size=40).filter(
        lambda text: len(set(text)) > 3 and text not in WRITTEN_ANYHOW
    )
)
def test_any_text_under_a_secret_name_is_never_in_the_output(stream: io.StringIO, secret: str) -> None:
    structlog.get_logger().info("x", password=secret, nested={"new_password": [secret]}, pairs=[["otp", secret]])

    assert secret not in json.dumps(json.loads(stream.getvalue()), ensure_ascii=False)
    stream.seek(0)
    stream.truncate()


class Full(io.StringIO):
    """A disk without room, or a pipe whose reader is gone."""

    def write(self, _: str) -> int:
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        raise BrokenPipeError


@pytest.mark.usefixtures("stream")
def test_what_cannot_be_written_ends_nobody_who_logs() -> None:
    telemetry.configure(Log(), Full())
    structlog.get_logger("yett.jobs").error("job_failed", job="feed")
    logging.getLogger("uvicorn.error").error("a library's word")
