"""Logs: structlog JSON on standard error, the libraries' own included, with secrets masked wherever they stand.

Owns the format and the redaction, not what is logged. Redaction is the last resort behind the rule that no secret is
logged at all: it goes by names (``password=``) and shapes (our prefixes, JWTs, ``Bearer …``, credentials in URLs), and
knows no others.
"""

import json
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from contextvars import ContextVar, Token
from functools import lru_cache
from typing import Any, TextIO, cast

import structlog
from structlog.tracebacks import ExceptionDictTransformer

from gateway.settings import Log

REDACTED = "[redacted]"
# Every opaque secret of ours begins with one of these (design section 2).
SECRET_PREFIXES = ("yrt", "yac", "ycs", "ymt", "yak", "ypr", "ydc", "yic", "yrc", "yss", "yop", "ylg", "ydv", "yvf")

_REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)

_MAX_TEXT = 4_096
_MAX_READ = 16_384
_MAX_ITEMS = 200
_MAX_DEPTH = 8
_MAX_FRAMES = 20

_NAMES = frozenset(
    {
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "authorization",
        "proxy_authorization",
        "cookie",
        "set_cookie",
        "otp",
        "code",
        "credential",
        "credentials",
        "assertion",
        "client_assertion",
        "code_verifier",
        "private_key",
        "master_key",
        "api_key",
        "signing_key",
        "sealing_key",
        "key_material",
        "pepper",
        "salt",
        "csrf",
        "jwt",
        "x_yett_identity",
    }
)
_NAME_ENDINGS = (
    "_password",
    "_passphrase",
    "_secret",
    "_token",
    "_cookie",
    "_otp",
    "_credential",
    "_credentials",
    "_private_key",
    "_master_key",
    "_api_key",
    "_key_material",
    "_code",
)
# Codes that name a condition and open nothing.
_HARMLESS = frozenset(
    {"status_code", "error_code", "reason_code", "exit_code", "problem_code", "language_code", "country_code"}
)

_PARAMETERS = (
    "password|passwd|secret|token|code|otp|client_secret|refresh_token|access_token|id_token|mfa_token|id_token_hint|"
    "recovery_code|code_verifier|client_assertion|assertion|api_key|authorization|cookie|master_key|private_key"
)
_OURS = "|".join(SECRET_PREFIXES)
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # SQLAlchemy quotes a statement's parameters behind this.
    (re.compile(r"\[parameters: .*", re.DOTALL), f"[parameters: {REDACTED}]"),
    (re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END|\Z)", re.DOTALL), REDACTED),
    (re.compile(r"://[^\s]{0,1024}@"), f"://{REDACTED}@"),
    # No boundary before: a secret may follow an escape such as %3D or \n.
    (re.compile(rf"(?:{_OURS})_[A-Za-z0-9_-]{{4,}}"), REDACTED),
    (re.compile(r"y[a-z]{2}_[A-Za-z0-9_-]{40,}"), REDACTED),
    (re.compile(r"eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){0,4}"), REDACTED),
    (re.compile(r"e[wy][A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*"), REDACTED),
    (
        re.compile(r"(basic|bearer|dpop|digest)((?:\s|%20|\+)+)(?!(?:realm|error|scope)=)[^\s,;\"']+", re.IGNORECASE),
        rf"\1\2{REDACTED}",
    ),
    # SQL's, with its two ways to write a quote inside.
    (re.compile(r"(password\s{1,16}e?)'(?:[^'\\]|''|\\.)*(?:'|\\?\Z)", re.IGNORECASE | re.DOTALL), rf"\1'{REDACTED}'"),
    # name=value of a query, a form or a connection string; 'name': 'value' of a repr or of JSON, escaped JSON too.
    (re.compile(rf"(?<![a-z])((?:{_PARAMETERS})(?:=|%3D))[^&\s\"']+", re.IGNORECASE), rf"\1{REDACTED}"),
    (
        re.compile(
            rf"(\\?[\"'](?:{_PARAMETERS})\\?[\"']\s{{0,4}}[:,=]\s{{0,4}}b?)(\\?[\"']).*?(?:\2|\Z)", re.I | re.DOTALL
        ),
        rf"\1{REDACTED}",
    ),
)
# What each pattern needs to be there at all: one look at a text that holds nothing of it, which is nearly every text.
_SUSPECT = re.compile(r"[=\"']|%3D|://|\[par|-----|y[a-z]{2}_|e[wy]|basic|bearer|dpop|digest", re.IGNORECASE)
# Characters that would let a value forge a line or drive a terminal, where the format does not escape them itself.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


def mask(text: str) -> str:
    """The text without what looks like a secret, bounded to 4,096 characters."""
    if len(text) > _MAX_READ:
        # Cut where no secret can be cut in two: at white space, which none of them holds.
        cut = max(text.rfind(space, 0, _MAX_READ) for space in " \n\t")
        text = text[:cut] if cut > 0 else f"[{len(text)} characters]"
    if _SUSPECT.search(text) is not None:
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"


@lru_cache(maxsize=1024)
def _field(name: str) -> tuple[str, bool]:
    """A field's name as it is shown, and whether its value is a secret. Names come from code, so few are many times."""
    plain = name.lower().replace("-", "_").replace(" ", "_")
    return mask(name), plain in _NAMES or (plain.endswith(_NAME_ENDINGS) and plain not in _HARMLESS)


def _clean(value: object, depth: int = 0) -> Any:
    """``value`` as JSON's own types, every text of it masked. Whatever is not plain data becomes its masked text."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return mask(value)
        case bytes() | bytearray():
            return mask(bytes(value).decode("utf-8", "backslashreplace"))
        case tuple() if hasattr(value, "_fields"):  # a named one says itself what of it may be seen
            return mask(repr(value))
        case _ if depth >= _MAX_DEPTH:
            return f"[{type(value).__name__}]"
        case Mapping():
            items = list(value.items())[:_MAX_ITEMS]
            return dict(_named(str(name), item, depth + 1) for name, item in items)
        case (str() | bytes() as name, item) if isinstance(value, list | tuple):
            # A header or a form field as a pair.
            text = name.decode("latin-1") if isinstance(name, bytes) else name
            return list(_named(text, item, depth + 1))
        case list() | tuple() | set() | frozenset():
            return [_clean(item, depth + 1) for item in list(value)[:_MAX_ITEMS]]
        case _:
            return mask(str(value))


def _named(name: str, value: object, depth: int) -> tuple[str, Any]:
    shown, is_secret = _field(name)
    return shown, REDACTED if is_secret and value is not None else _clean(value, depth)


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    """The processor: everything behind it in the chain sees plain, masked data only."""
    return dict(_named(str(name), value, 0) for name, value in event.items())


def _name_request(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Whose event it is. One variable, and not structlog's context of any number: each request sets it."""
    if (known := request_id()) is not None:
        event.setdefault("request_id", known)
    return event


def _drop_library_extras(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog's own bookkeeping on a foreign record, which says nothing to a reader."""
    event.pop("_record", None)
    event.pop("_from_structlog", None)
    return event


def _render_json(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    first = {name: event[name] for name in ("timestamp", "level", "event") if name in event}
    # ASCII only: a lone surrogate in a path must not break the log, nor a terminal's control characters reach it.
    return json.dumps({**first, **event}, ensure_ascii=True, separators=(",", ":"))


def _render_console(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    fields = dict(event)
    raised = fields.pop("exception", None)
    head = f"{fields.pop('timestamp', '')} {fields.pop('level', ''):<8} {fields.pop('event', '')}"
    pairs = (f"{name}={json.dumps(value, ensure_ascii=True)}" for name, value in fields.items())
    line = "  ".join([head.translate(_CONTROLS), *pairs])
    return line if raised is None else f"{line}\n  {json.dumps(raised, ensure_ascii=True)}"


class _Lasting:
    """A stream whose reader may be gone, or whose disk may be full: what cannot be written is lost, and nobody who logs
    ends of it. A job's word about its own failure would be its end.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> int:
        with suppress(OSError):
            return self._out.write(text)
        return 0

    def flush(self) -> None:
        with suppress(OSError):
            self._out.flush()


def configure(log: Log, stream: TextIO | None = None) -> None:
    """Sends every log of the process to ``stream`` (default: standard error). Called once, by the command that runs."""
    out = cast(TextIO, _Lasting(sys.stderr if stream is None else stream))
    level = getattr(logging, log.level.upper())
    exceptions = ExceptionDictTransformer(show_locals=False, max_frames=_MAX_FRAMES)
    shared: list[structlog.typing.Processor] = [
        _name_request,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(exceptions),
    ]
    last: list[structlog.typing.Processor] = [redact, _render_json if log.format == "json" else _render_console]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    _route_libraries(level, out, shared, last)


def _route_libraries(
    level: int, out: TextIO, shared: list[structlog.typing.Processor], last: list[structlog.typing.Processor]
) -> None:
    """uvicorn, SQLAlchemy, Alembic, asyncio and warnings through the same chain, each with its logger's name."""
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[_drop_library_extras, *last],
            keep_exc_info=False,
            keep_stack_info=False,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.INFO))  # libraries' debug output quotes requests and statements
    logging.captureWarnings(True)
    for name in [name for name in logging.Logger.manager.loggerDict if "." not in name] + [
        "uvicorn.error",
        "uvicorn.access",
    ]:
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
    # Ours tells what uvicorn's access log does, without the query; a statement's parameters belong in no log.
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
    logging.getLogger("sqlalchemy.engine").setLevel(logging.WARNING)
    logging.getLogger("slowapi").setLevel(logging.ERROR)  # else a line for each request over a limit
    logging.getLogger("alembic").setLevel(logging.WARNING)  # `yett migrate` says itself what it did


def request_id() -> str | None:
    """That of the request which this task is at."""
    return _REQUEST_ID.get()


class request:  # noqa: N801 - for ``with``
    """While it is open, every event of this task (and of tasks that it starts) carries the request's id."""

    __slots__ = ("_id", "_token")

    def __init__(self, request_id: str) -> None:
        self._id = request_id

    def __enter__(self) -> None:
        self._token: Token[str | None] = _REQUEST_ID.set(self._id)

    def __exit__(self, *_raised: object) -> None:
        _REQUEST_ID.reset(self._token)
