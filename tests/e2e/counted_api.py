"""An API as a process of its own, to be killed: it writes each request's first line into a file before it answers.

python -m tests.e2e.counted_api PORT FILE
"""

import asyncio
import os
import sys

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_WORK = 0.003  # seconds that a request takes, so that a kill meets some of them


async def _serve(port: int, out: int) -> None:
    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                os.write(out, head.partition(b"\r\n")[0] + b"\n")
                await asyncio.sleep(_WORK)
                writer.write(_ANSWER)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(exchange, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)))
