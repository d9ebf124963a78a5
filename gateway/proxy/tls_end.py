"""How a TLS connection ended: by its peer's word (RFC 8446 section 6.1, ``close_notify``), or cut off by somebody."""

import asyncio
import ssl


def said_its_end(transport: asyncio.Transport | None) -> bool:
    """Whether the peer said that nothing more will come. asyncio tells its protocols of both ends alike."""
    tls: ssl.SSLObject | None = None if transport is None else transport.get_extra_info("ssl_object")
    if tls is None or tls.pending():
        return False
    try:
        return tls.read(1) == b""
    except ssl.SSLZeroReturnError:
        return True
    except ssl.SSLError:  # it would wait for more
        return False
