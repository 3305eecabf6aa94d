"""Responders, which replace a server's response by a faulty one."""

from aiohttp import web

from tests.faults.proxy import Exchange, Responder


def respond_with(
    body: bytes | str = b"", status: int = 200, content_type: str = "text/plain", **headers: str
) -> Responder:
    """Respond with this. Underscores in header names stand for hyphens."""
    data = body.encode() if isinstance(body, str) else body
    more = {name.replace("_", "-"): value for name, value in headers.items()}

    async def responder(_: Exchange) -> web.Response:
        return web.Response(status=status, body=data, headers={"Content-Type": content_type, **more})

    return responder


def write_bytes(*pieces: bytes, pause_s: float = 0.0, close: bool = True) -> Responder:
    """Respond with raw bytes, including the headers."""

    async def responder(exchange: Exchange) -> web.Response:
        return await exchange.raw(*pieces, pause_s=pause_s, close=close)

    return responder


def times(count: int, responder: Responder) -> Responder:
    """Use the responder for the first `count` requests, then forward."""
    left = count

    async def counted(exchange: Exchange) -> web.StreamResponse:
        nonlocal left
        left -= 1
        return await responder(exchange) if left >= 0 else await exchange.forward()

    return counted


async def hang(exchange: Exchange) -> web.StreamResponse:
    """Send no response and process nothing."""
    return await exchange.hang()


async def reset_connection(exchange: Exchange) -> web.StreamResponse:
    """Reset the connection and process nothing."""
    return await exchange.reset()


def processed_then(responder: Responder) -> Responder:
    """Let the server process the request, then replace its response."""

    async def both(exchange: Exchange) -> web.StreamResponse:
        await exchange.forward()
        return await responder(exchange)

    return both
