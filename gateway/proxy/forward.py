"""One exchange with an upstream: send the request, announce the answer, stream both ways, give everything back.

A request whose body is at hand needs no task. A body that is still to come is pumped by a task of its own beside the
answer, so that either may end first. A client that leaves is noticed by whoever waits for its messages: the pump, or,
once an exchange is no longer quick, a watcher that the pool's sweep asks for; a quick one is over before.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter
from typing import Any

from gateway.proxy.connection import UpstreamConnection
from gateway.proxy.endpoint import Endpoint
from gateway.proxy.long_answer import StreamEnded, cut
from gateway.proxy.patience import Upload
from gateway.proxy.pool import UpstreamPool
from gateway.proxy.request import ProxiedRequest
from gateway.proxy.request_body import RequestBody
from gateway.proxy.streams import Ended, Streams
from gateway.proxy.upstream import ClientGone, RequestNotSent, UpstreamClosed, UpstreamFault

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})  # RFC 9110 section 9.2.2


class Exchange:
    """From an allowed request to the end of its answer. ``open`` first, then ``relay``; ``close`` in any case."""

    __slots__ = (
        "_body",
        "_connecting",
        "_connection",
        "_first",
        "_gone",
        "_head",
        "_method",
        "_pool",
        "_pump",
        "_pumped",
        "_receive",
        "_send",
        "_streams",
        "_subject",
        "_watcher",
        "connect_time",
        "relayed",
        "request",
        "started",
    )

    def __init__(
        self,
        pool: UpstreamPool,
        head: bytes,
        *,
        request: ProxiedRequest,
        streams: Streams,
        body: RequestBody,
        receive: Receive,
        send: Send,
        subject: str | None = None,
    ) -> None:
        self._pool = pool
        self.request = request
        self._head = self._prepared(head)
        self._method = request.scope["method"]
        self._streams = streams
        self._body = body
        self._receive = receive
        self._send = send
        self._subject = subject
        self._first = b""
        self._gone = False
        self._pumped = False
        self._connection: UpstreamConnection | None = None
        self._connecting: asyncio.Task[UpstreamConnection] | None = None
        self._pump: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self.started = False  # the client has seen the head of an answer
        self.connect_time = 0.0  # seconds until there was a new connection, where one was needed
        self.relayed = 0  # bytes of the answer's body

    async def open(self) -> UpstreamConnection:
        """Send the request and wait for the head of the answer. Raises ``UpstreamFault`` or ``ClientGone``."""
        body = self._body
        if not body.ended and body.small:
            await self._take_first_piece()
        connection = self._pool.take(self._subject)
        if connection is None:
            connection = await self._connect()
        repeated = False
        while True:
            self._begin(connection)
            try:
                await connection.answered()
            except UpstreamClosed as closed:
                if repeated or not self._may_repeat(connection, closed):
                    raise
                # Nothing has happened there, or nothing that could not happen twice.
                repeated = True
                await self._stop_pump()
                self._give_back()
                connection = await self._connect(avoid=connection.endpoint)
            else:
                endpoint = connection.endpoint
                endpoint.answered_at = connection.touched
                if endpoint.on_trial:  # an answer that streams for hours is one from its head on
                    self._pool.answered(connection)
                return connection

    async def relay(self, connection: UpstreamConnection, headers: list[tuple[bytes, bytes]]) -> None:
        """Pass the answer on. Raises as ``open`` does; once ``started``, the client's connection must be broken off."""
        send = self._send
        start = {"type": "http.response.start", "status": connection.status, "headers": headers}
        if connection.complete and self._body.ended:
            # All of it is here: the connection is free for the next request before this client has read a byte.
            body = connection.take()
            self._give_back()
            self.started = True
            self.relayed = len(body)
            await send(start)
            await send({"type": "http.response.body", "body": body, "more_body": False})
            return
        self.started = True
        await send(start)
        if not connection.here:
            # The head must not wait for a body that may take its time, as server-sent events do.
            await send({"type": "http.response.body", "body": b"", "more_body": True})
        while True:
            body = await connection.read()
            more = not connection.complete
            self.relayed += len(body)
            if not more and self._body.ended:
                self._give_back()  # a client that reads slowly holds none of the upstream's for what is here
            await send({"type": "http.response.body", "body": body, "more_body": more})
            if not more:
                return

    @property
    def received(self) -> int:
        """Bytes of the request's body so far."""
        return self._body.sent

    @property
    def settled(self) -> bool:
        """Whether nothing is left for ``close`` to do."""
        return self._connection is None and self._pump is None and self._watcher is None

    async def close(self) -> None:
        """Leave nothing behind: no task, and no connection that another request could not use."""
        self._streams.discard(self)
        if self._connection is not None:
            self._give_back()
        await self._stop_pump()
        if self._watcher is not None:
            watcher, self._watcher = self._watcher, None
            await stop(watcher)

    def end(self, ended: Ended) -> None:
        """It may not go on. What was sent while its token counted, and waits for its answer, may have it."""
        if self._connection is not None and (self.started or not ended.waits or not self._body.ended):
            self._connection.fail(StreamEnded(ended))

    async def cut(self) -> None:
        """End the answer, of which the client has seen a part."""
        if self._connection is not None:
            await cut(self._connection.head, self._send)

    def sweep(self, now: float) -> None:
        """Nothing to do: its times are the pool's."""

    def _prepared(self, head: bytes) -> bytes:
        """What is sent of it. For who asks for more than an answer."""
        return head

    def _begin(self, connection: UpstreamConnection) -> None:
        self._connection = connection
        if self._gone:
            raise ClientGone
        connection.begin(self._head + self._first if self._first else self._head, head_only=self._method == "HEAD")
        connection.on_slow = self._go_on
        if not self._body.ended:
            self._pump = asyncio.get_running_loop().create_task(self._upload(connection))

    def _give_back(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            self._pool.give_back(connection, request_sent=self._body.ended)

    def _may_repeat(self, connection: UpstreamConnection, closed: UpstreamClosed) -> bool:
        """Whether the same request can go out again: no harm twice, and nothing of a body has left.

        A connection that was kept may have been closed before the request came, so its own endpoint will do. One that
        was new says that this endpoint fails: then only another one is asked.
        """
        if self._pumped:
            return False
        if isinstance(closed, RequestNotSent):
            return True
        if self._method not in IDEMPOTENT or self._first:
            return False
        return connection.reused or self._pool.endpoints.others_than(connection.endpoint)

    async def _connect(self, avoid: Endpoint | None = None) -> UpstreamConnection:
        begun = perf_counter()
        try:
            return await self._connected(avoid)
        finally:
            self.connect_time += perf_counter() - begun

    async def _connected(self, avoid: Endpoint | None) -> UpstreamConnection:
        """A new connection takes a while; a client without a body to send may leave meanwhile."""
        if not self._body.ended:
            return await self._pool.connect(self._subject, avoid=avoid)
        connecting = self._connecting = asyncio.get_running_loop().create_task(
            self._pool.connect(self._subject, avoid=avoid)
        )
        self._watch()
        try:
            return await connecting
        except asyncio.CancelledError:
            if connecting.done() and not connecting.cancelled() and connecting.exception() is None:
                connecting.result().close()  # it came in the same moment
            if self._gone:
                raise ClientGone from None
            raise
        finally:
            self._connecting = None

    async def _take_first_piece(self) -> None:
        message = await self._receive()
        if message["type"] != "http.request":
            raise ClientGone
        self._first = self._body.frame(message)

    async def _upload(self, connection: UpstreamConnection) -> None:
        """The pump: one message of the client at a time, none asked for while the upstream is behind."""
        upload = connection.upload = Upload()
        try:
            while not self._body.ended:
                await connection.drain()
                upload.ask(connection.touch())
                message = await self._receive()
                upload.came(len(message.get("body", b"")), connection.touch())
                if message["type"] != "http.request":
                    raise ClientGone
                self._pumped = True
                if piece := self._body.frame(message):
                    connection.writer.write(piece)
            await self._until_gone()
        except ClientGone as gone:
            self._give_up(gone)
        except UpstreamFault:
            return  # whoever waits for the answer is told the same

    def _go_on(self) -> None:
        """It is no quick one."""
        self._streams.add(self)
        if self._pump is None:
            self._watch()

    def _watch(self) -> None:
        if self._watcher is None:
            self._watcher = asyncio.get_running_loop().create_task(self._notice())

    async def _notice(self) -> None:
        try:
            await self._until_gone()
        except ClientGone as gone:
            self._give_up(gone)

    async def _until_gone(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientGone

    def _give_up(self, gone: ClientGone) -> None:
        self._gone = True
        if self._connection is not None:
            self._connection.fail(gone)
        elif self._connecting is not None:
            self._connecting.cancel()

    async def _stop_pump(self) -> None:
        if self._pump is not None:
            pump, self._pump = self._pump, None
            await stop(pump)


async def stop(task: asyncio.Task[Any]) -> None:
    """Cancel and see it end. What else it died of is a bug, and is raised."""
    task.cancel()
    await asyncio.wait((task,))
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error
