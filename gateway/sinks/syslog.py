"""The sink ``syslog``: RFC 5424 messages over TLS, with their lengths before them (RFC 5425 section 4.3).

Syslog has no acknowledgement. So each batch has a connection of its own, and counts as taken once the receiver has
closed it in order behind our own end (RFC 5425 section 4.4), and its system has acknowledged every byte: whoever closes
with something left to read sends a reset.
"""

import fcntl
import re
import socket
import ssl
import sys
import termios
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from gateway.sinks.apart import Apart, StillBusy
from gateway.sinks.portions import in_portions
from gateway.sinks.record import Receipt, Record, all_of, nothing

_APP = "yett"
_SD_ID = "yett@32473"  # RFC 5612: a number for those who have none of their own
_SEVERITIES = {"success": 6, "refused": 4, "notice": 5}  # RFC 5424 section 6.2.1
_NOTICE = 5
_PARAMETERS = (
    *("id", "outcome", "reason", "subject", "user_name", "client_id", "session_id", "actor", "address", "request_id"),
    *("route", "status"),
)
_ESCAPED = re.compile(r'(["\\\]])')
_UNPRINTABLE = re.compile(r"[^!-~]")
_AT_ONCE = 16 * 1024
_LOOK_AGAIN = 0.005


@dataclass(frozen=True, slots=True)
class Receiver:
    """``hostname`` is ours, as messages have it; ``timeout`` is for a batch."""

    host: str
    port: int
    tls: ssl.SSLContext
    hostname: str
    facility: int
    timeout: timedelta


class _Left(Exception):
    """The receiver closed the connection before we did: nobody knows what it has read."""


class SyslogTransmitter:
    """Sends to one receiver."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._apart = Apart("syslog sink")

    async def send(self, records: Sequence[Record], /) -> Receipt:
        """Send them, and wait until the receiver has read them."""
        frames = b"".join(await in_portions(self._frame, records))
        try:
            await self._apart.call(lambda: self._exchange(frames))
        except StillBusy:
            return nothing("receiver_hangs")
        except TimeoutError:
            return nothing("timed_out")
        except ssl.SSLCertVerificationError:
            return nothing("certificate_not_trusted")
        except (_Left, ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError):
            return nothing("connection_lost")
        except ssl.SSLError:
            return nothing("tls_failed")
        except socket.gaierror:
            return nothing("name_unknown")
        except OSError:
            return nothing("unreachable")
        return all_of(records)

    def _frame(self, record: Record) -> bytes:
        message = format_message(record, hostname=self._receiver.hostname, facility=self._receiver.facility)
        return b"%d %b" % (len(message), message)

    def _exchange(self, frames: bytes) -> None:
        there = self._receiver
        ends = time.monotonic() + there.timeout.total_seconds()

        def left() -> float:
            seconds = ends - time.monotonic()
            if seconds <= 0:
                raise TimeoutError
            return seconds

        with (
            socket.create_connection((there.host, there.port), timeout=left()) as plain,
            there.tls.wrap_socket(plain, server_hostname=there.host) as peer,
        ):
            rest = memoryview(frames)
            while rest:
                peer.settimeout(left())
                rest = rest[peer.send(rest[:_AT_ONCE]) :]
            _still_there(peer)
            peer.settimeout(left())
            _end(peer)
            _acknowledged(peer, left)


def _still_there(peer: ssl.SSLSocket) -> None:
    peer.setblocking(False)
    try:
        if peer.recv(1024) == b"":
            raise _Left
    except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return  # nothing to read: as it should be, for a receiver says nothing


def _end(peer: ssl.SSLSocket) -> None:
    """Say that this is all, and wait for the same word. Some close without it: an end of the connection is an end of
    reading all the same, where a reset is not.
    """
    try:
        peer.unwrap()
    except ssl.SSLEOFError:
        return
    except OSError as error:
        if error.errno != 0:  # which is an end of the connection, where TLS was not told
            raise


def _acknowledged(peer: ssl.SSLSocket, left: Callable[[], float]) -> None:
    """Wait until the receiver's system has had all of it. One that had closed before answers with a reset, which may
    come behind its end of the connection.
    """
    if sys.platform != "linux":  # where nobody tells
        return
    waiting = array("i", [1])
    while waiting[0]:
        fcntl.ioctl(peer, termios.TIOCOUTQ, waiting)
        time.sleep(min(_LOOK_AGAIN, left()) if waiting[0] else 0)
    if peer.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise _Left


def format_message(record: Record, *, hostname: str, facility: int) -> bytes:
    """RFC 5424 section 6. The text is JSON in ASCII, so that it needs no byte order mark."""
    event = record.event
    severity = _SEVERITIES.get(event.get("outcome", ""), _NOTICE)
    head = (
        f"<{facility * 8 + severity}>1 {event['time']} {_header(hostname, 255)} {_APP} - {_header(event['type'], 32)}"
    )
    parameters = {"tenant": record.tenant}
    if record.position is not None:
        parameters["position"] = str(record.position)
    parameters |= {name: event[name] for name in _PARAMETERS if name in event}
    told = "".join(f' {name}="{_value(value)}"' for name, value in parameters.items())
    return f"{head} [{_SD_ID}{told}] ".encode() + record.body


def _header(text: str, longest: int) -> str:
    """Section 6.2.4 and those after it: printable ASCII, and a hyphen for nothing."""
    return _UNPRINTABLE.sub("_", text)[:longest] or "-"


def _value(value: object) -> str:
    """Section 6.3.3. Controls would end a line at receivers that write lines."""
    text = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in str(value))
    return _ESCAPED.sub(r"\\\1", text)
