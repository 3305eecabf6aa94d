"""Responders: faulty responses in place of the server's."""

from aiohttp import web

from tests.faults.proxy import Exchange, Responder


def says(body: bytes | str = b"", status: int = 200, content_type: str = "text/plain", **headers: str) -> Responder:
    """Always this answer. Underscores in the names of headers stand for hyphens."""
    data = body.encode() if isinstance(body, str) else body
    more = {name.replace("_", "-"): value for name, value in headers.items()}

    async def responder(_: Exchange) -> web.Response:
        return web.Response(status=status, body=data, headers={"Content-Type": content_type, **more})

    return responder


def writes(*pieces: bytes, pause_s: float = 0.0, close: bool = True) -> Responder:
    """Always these bytes, headers and all."""

    async def responder(exchange: Exchange) -> web.Response:
        return await exchange.raw(*pieces, pause_s=pause_s, close=close)

    return responder


def times(count: int, responder: Responder) -> Responder:
    """Use the responder for the first `count` requests; then answer faithfully."""
    left = count

    async def counted(exchange: Exchange) -> web.StreamResponse:
        nonlocal left
        left -= 1
        return await responder(exchange) if left >= 0 else await exchange.faithful()

    return counted


async def hangs(exchange: Exchange) -> web.StreamResponse:
    """No answer, nothing processed."""
    return await exchange.never()


async def cuts(exchange: Exchange) -> web.StreamResponse:
    """A reset connection, nothing processed."""
    return await exchange.cut()


def processed_then(responder: Responder) -> Responder:
    """The server does what it was asked; only the answer goes wrong."""

    async def both(exchange: Exchange) -> web.StreamResponse:
        await exchange.faithful()
        return await responder(exchange)

    return both
