"""The certificates of a listener: read from files, chosen by server name (RFC 6066 section 3), read again on change.

A set is taken whole or not at all: where one pair does not work, the set of before stays. Connections that stand keep
the certificate that they were made with. Does not own the handshake: that is ``tls``.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from stat import S_IRWXO

import structlog

from tenants.certificate import CertificateFacts, NotACertificate, read_certificate

log = structlog.get_logger("yett.tls")

_EXPIRES_SOON = timedelta(days=7)
# Of TLS 1.2: forward secrecy and authenticated encryption, nothing else. TLS 1.3 has no others.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class CertificateProblem(Exception):
    """A certificate or its key cannot be used. Its text is a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of one certificate, both PEM: the certificate with its chain behind it, and its key."""

    certificate: Path
    key: Path


class ServerContext(ssl.SSLContext):
    """The TLS context of one certificate, with the names that this is for."""

    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A pair that works."""

    pair: Pair
    facts: CertificateFacts
    context: ServerContext
    key_open_to_all: bool


class _Served:
    """What handshakes that begin now are made with."""

    def __init__(self, loaded: Sequence[Loaded]) -> None:
        self.loaded = tuple(loaded)
        self.default = loaded[0].context
        self._by_name: dict[str, ServerContext] = {}
        for one in loaded:
            for name in one.facts.names:
                self._by_name.setdefault(name, one.context)
        self.default.sni_callback = self._choose

    def _choose(self, connection: ssl.SSLObject, server_name: str | None, _: ssl.SSLContext) -> None:
        connection.context = self.of(server_name or "")

    def of(self, server_name: str) -> ServerContext:
        """The first certificate with this name, else the first with a wildcard for it, else the default."""
        name = server_name.lower()
        exact = self._by_name.get(name)
        return exact or self._by_name.get(f"*.{name.partition('.')[2]}") or self.default


class Certificates:
    """``pairs`` are in the order of the configuration; the first is the default. ``clock`` is the time of day.

    Raises:
        CertificateProblem: one of them cannot be used.
    """

    def __init__(self, pairs: Sequence[Pair], clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._pairs = tuple(pairs)
        self._tried = self._seen = _signature(self._pairs)
        self._served = _Served([_load(pair) for pair in self._pairs])
        self._told: set[Loaded] = set()
        self._warn(fresh=True)

    @property
    def context(self) -> ssl.SSLContext:
        """For the next handshake."""
        return self._served.default

    def covers(self, name: str) -> bool:
        """Whether one of the certificates is for this host name."""
        return any(covers(one.facts.names, name) for one in self._served.loaded)

    def prepared(self, pairs: Sequence[Pair]) -> Callable[[], None]:
        """What serves these from then on. Their files are read here, which may be in a thread.

        Raises:
            CertificateProblem: one of them cannot be used.
        """
        wanted = tuple(pairs)
        signature = _signature(wanted)
        served = _Served([_load(pair) for pair in wanted])

        def take() -> None:
            self._served, self._pairs = served, wanted
            self._tried = self._seen = signature
            self._told.clear()
            log.info("tls_certificates_loaded", certificates=len(wanted))
            self._warn(fresh=True)

        return take

    async def watch(self) -> None:
        """Look whether a file has changed; to be called every few seconds. It is read once nothing changes any more,
        since a certificate and its key are seldom replaced in one moment; in a thread, since there may be many.
        """
        pairs = self._pairs
        now = await asyncio.to_thread(_signature, pairs)
        settled, self._seen = now == self._seen, now
        if settled and now != self._tried:
            self._tried = now
            try:
                take = await asyncio.to_thread(self.prepared, pairs)
            except CertificateProblem as problem:
                log.error("tls_certificate_refused", reason=str(problem))
            else:
                if pairs is self._pairs:  # else another list was taken meanwhile
                    take()
        self._warn(fresh=False)

    def _warn(self, *, fresh: bool) -> None:
        """What works and will soon not, each once; and when ``fresh``, which keys too many may read."""
        now = self._clock()
        for one in self._served.loaded:
            file = str(one.pair.certificate)
            if one.facts.not_before > now and fresh:
                log.warning("tls_certificate_not_yet_valid", file=file, valid_from=one.facts.not_before.isoformat())
            if one.facts.not_after - now < _EXPIRES_SOON and one not in self._told:
                self._told.add(one)
                expired = "tls_certificate_expired" if one.facts.not_after <= now else "tls_certificate_expires"
                log.warning(expired, file=file, at=one.facts.not_after.isoformat())
            if fresh and one.key_open_to_all:
                log.warning("tls_key_open_to_all", file=str(one.pair.key))


def covers(names: Iterable[str], name: str) -> bool:
    """Whether a certificate with these names is for the host ``name`` (RFC 9525 section 6.3), which is in lower case.
    A wildcard stands for one label.
    """
    return name in names or f"*.{name.partition('.')[2]}" in names


def _load(pair: Pair) -> Loaded:
    try:
        facts = read_certificate(pair.certificate.read_bytes())
    except OSError as error:
        raise CertificateProblem(f"{pair.certificate} cannot be read: {error.strerror or error}.") from error
    except NotACertificate as error:
        raise CertificateProblem(f"{pair.certificate} is no certificate in PEM: {error}.") from error
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.names = facts.names
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    try:
        context.load_cert_chain(pair.certificate, pair.key, password=_nobody_to_ask)
        mode = pair.key.stat().st_mode
    except ssl.SSLError as error:
        raise CertificateProblem(_reason(pair, error)) from error
    except OSError as error:
        raise CertificateProblem(f"{pair.key} cannot be read: {error.strerror or error}.") from error
    return Loaded(pair, facts, context, bool(mode & S_IRWXO))


def _nobody_to_ask() -> str:
    """In place of OpenSSL's question at the terminal."""
    return ""


def _reason(pair: Pair, error: ssl.SSLError) -> str:
    if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
        return f"The key in {pair.key} does not belong to the certificate in {pair.certificate}."
    if b"ENCRYPTED" in pair.key.read_bytes():
        return f"The key in {pair.key} is encrypted; write it out with `openssl pkey`, readable by its owner only."
    return f"{pair.certificate} and {pair.key} cannot be used: {error.reason or error}."


def _signature(pairs: Sequence[Pair]) -> tuple[object, ...]:
    """Another value when a file has changed, also where what was replaced is a link on the way to it."""
    return tuple(_state(path) for pair in pairs for path in (pair.certificate, pair.key))


def _state(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError as error:
        return (error.errno or 0,)
    return status.st_mtime_ns, status.st_size, status.st_ino
