"""The answers that the server gives itself, as RFC 9457 problem details. Each of them ends the connection.

Owns the codes, their status and the bytes on the wire. Does not decide when one may be written (``protocol`` does).
"""

import json
from dataclasses import dataclass
from http import HTTPStatus

from gateway.server.http_date import date_line

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""The methods that an application may see. RFC 9110 section 9, without TRACE and CONNECT."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of refusal: ``code`` is stable, ``title`` is for people, ``extra`` are whole field lines."""

    status: int
    code: str
    title: str
    extra: bytes = b""

    def answer(self, *, to_head: bool = False) -> bytes:
        """The whole response; ``to_head`` leaves the body out, as a response to HEAD must (RFC 9110 section 9.3.2)."""
        problem = {
            "type": f"urn:yett:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
        }
        body = json.dumps(problem, separators=(",", ":")).encode()
        head = (
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\n"
            "content-type: application/problem+json\r\n"
            f"content-length: {len(body)}\r\n"
            "cache-control: no-store\r\n"
        ).encode("ascii")
        return b"".join(
            (
                head,
                self.extra,
                date_line(),
                b"connection: close\r\n\r\n",
                b"" if to_head else body,
            )
        )


class Refused(Exception):
    """The bytes of the client cannot be served; ``fault`` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.code)
        self.fault = fault


REQUEST_LINE = Fault(400, "request_line_invalid", "The request line is malformed.")
FIELD_LINE = Fault(400, "header_invalid", "A header field line is malformed.")
HOST = Fault(400, "host_invalid", "A request needs exactly one valid Host field.")
TARGET = Fault(400, "target_invalid", "The request target is malformed or does not belong to this host.")
FRAMING = Fault(400, "framing_invalid", "The length of the request body is not stated unambiguously.")
BODY = Fault(400, "body_invalid", "The request body does not follow its framing.")
CHUNK_OVERHEAD = Fault(400, "chunk_overhead", "The request body carries too much besides its content.")
UPGRADE_WITH_BODY = Fault(400, "upgrade_with_body", "A request to change the protocol cannot have a body.")
METHOD_NOT_ALLOWED = Fault(
    405, "method_not_allowed", "This method is never served here.", f"allow: {', '.join(METHODS)}\r\n".encode("ascii")
)
REQUEST_TIMEOUT = Fault(408, "request_timeout", "The request did not arrive in time.")
TARGET_TOO_LONG = Fault(414, "target_too_long", "The request target is too long.")
EXPECTATION = Fault(417, "expectation_failed", "The expectation is unknown.")
HEAD_TOO_LARGE = Fault(431, "header_too_large", "The header block is too large.")
INTERNAL = Fault(500, "internal_error", "The request could not be answered.")
METHOD_UNKNOWN = Fault(501, "method_unknown", "The method is unknown.")
VERSION = Fault(505, "version_unsupported", "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
