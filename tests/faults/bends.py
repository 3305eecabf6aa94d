"""Ways in which an answer is bent."""

from aiohttp import web

from tests.faults.front import Bend, Exchange


def says(body: bytes | str = b"", status: int = 200, content_type: str = "text/plain", **headers: str) -> Bend:
    """Always this answer. Underscores in the names of headers stand for hyphens."""
    data = body.encode() if isinstance(body, str) else body
    more = {name.replace("_", "-"): value for name, value in headers.items()}

    async def bend(_: Exchange) -> web.Response:
        return web.Response(status=status, body=data, headers={"Content-Type": content_type, **more})

    return bend


def writes(*pieces: bytes, pause_s: float = 0.0, close: bool = True) -> Bend:
    """Always these bytes, headers and all."""

    async def bend(exchange: Exchange) -> web.Response:
        return await exchange.raw(*pieces, pause_s=pause_s, close=close)

    return bend


def times(count: int, bend: Bend) -> Bend:
    """The bend for the first so many requests; afterwards the faithful answer."""
    left = count

    async def counted(exchange: Exchange) -> web.StreamResponse:
        nonlocal left
        left -= 1
        return await bend(exchange) if left >= 0 else await exchange.faithful()

    return counted


async def hangs(exchange: Exchange) -> web.StreamResponse:
    """No answer, nothing processed."""
    return await exchange.never()


async def cuts(exchange: Exchange) -> web.StreamResponse:
    """A reset connection, nothing processed."""
    return await exchange.cut()


def processed_then(bend: Bend) -> Bend:
    """The server does what it was asked; only the answer goes wrong."""

    async def both(exchange: Exchange) -> web.StreamResponse:
        await exchange.faithful()
        return await bend(exchange)

    return both
