"""The gateway's own answers on their way to the client. What they say is decided elsewhere."""

from gateway.proxy import refusal
from gateway.proxy.own_answer import OwnAnswer
from gateway.proxy.refusal import Refusal
from gateway.proxy.request import ProxiedRequest
from gateway.proxy.upstream import UpstreamFault
from gateway.server.asgi import Send

_CLOSE = ((b"connection", b"close"),)  # nobody waits for the rest of that body (RFC 9110 section 15.5.9)


async def answer(refused: Refusal, request: ProxiedRequest, send: Send) -> None:
    """A refusal."""
    headers, body = refusal.answer(refused, request.ids.request_id, request.nonce)
    headers += request.permission
    headers += request.quota
    await send({"type": "http.response.start", "status": refused.problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def tell(own: OwnAnswer, request: ProxiedRequest, send: Send) -> None:
    """What the gateway knows itself."""
    headers = [*own.headers, (b"x-request-id", request.ids.request_id)]
    await send({"type": "http.response.start", "status": own.status, "headers": headers})
    await send({"type": "http.response.body", "body": own.body, "more_body": False})


def of_fault(fault: UpstreamFault) -> Refusal:
    """What an upstream's fault is answered with."""
    problem = refusal.FAULTS[fault.code]
    if fault.status == 503:
        return refusal.retry_later(problem, fault.code)
    return Refusal(problem, fault.code, headers=_CLOSE if fault.status == 408 else ())
