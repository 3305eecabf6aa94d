"""Uploads that another gateway received: each upload is on one server at once, where every gateway finds it.

The name on the servers ends with a digest of the client's name and the content. A copy counts only if it has that
digest, so no client gets what another one has uploaded.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any

import aiohttp
from aiohttp import hdrs
from loguru import logger

from statemachine.core.vocabulary import State
from statemachine.gateway.errors import GatewayError
from statemachine.gateway.fleet_view import Candidate, FleetView
from statemachine.gateway.uploads import DIGEST_LENGTH, Upload, Uploads, split_annotation, texts_in
from statemachine.gateway.upstream import NoAnswerError, NotSentError, Upstream

SHARE_S = 5.0
"""How long a client waits until a server has its upload. It is sent in any case."""
FETCH_S = 30.0
LOOK_S = 1.0
LOOK_AGAIN_S = 10.0
MAX_ABSENT = 10_000
MAX_NAMES = 20
"""Names of a graph that are looked for."""
CHUNK = 256 * 1024

_DIGEST = re.compile(rf"-([0-9a-f]{{{DIGEST_LENGTH}}})$")


class SharedUploads:
    """Puts uploads on servers, and fetches from them what other gateways have put there."""

    def __init__(self, uploads: Uploads, view: FleetView, upstream: Upstream) -> None:
        self._uploads = uploads
        self._view = view
        self._upstream = upstream
        self._absent: dict[str, float] = {}
        """When a path was found on no server."""

    async def share(self, upload: Upload) -> None:
        """Hand an upload to a server, the one that is most likely to get the prompt."""
        for server in self._view.choose({}).servers:
            with suppress(NotSentError, TimeoutError):
                async with asyncio.timeout(SHARE_S):
                    await self._uploads.hand_over(upload, server.config, self._upstream)
                return
        logger.warning("no server took the file {}; other gateways cannot find it", upload.name)

    async def find(self, client: str, path: str) -> Upload | None:
        """Return an upload of the client, also one that another gateway received."""
        known = self._uploads.find(client, path)
        if known is not None or not _has_digest(path):
            return known
        if time.monotonic() - self._absent.get(path, -LOOK_AGAIN_S) < LOOK_AGAIN_S:
            return None
        found = await self._fetch(client, path)
        if found is None:
            self._note_absent(path)
        return found

    async def find_all(self, client: str, graph: Mapping[str, Any]) -> None:
        """Fetch the uploads that a graph names and this gateway does not have."""
        names = {split_annotation(text)[0] for _, _, text in texts_in(graph)}
        wanted = [name for name in names if _has_digest(name)]
        await asyncio.gather(*(self.find(client, name) for name in wanted[:MAX_NAMES]))

    async def _fetch(self, client: str, path: str) -> Upload | None:
        usable = [one for one in self._view if one.state != State.UNREACHABLE.value]
        has = await asyncio.gather(*(self._has(server, path) for server in usable))
        for server, is_there in zip(usable, has, strict=True):
            if is_there and (upload := await self._copy(client, server, path)) is not None:
                return upload
        return None

    async def _has(self, server: Candidate, path: str) -> bool:
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with asyncio.timeout(LOOK_S), self._answer(server, hdrs.METH_HEAD, path) as answer:
                return bool(answer.ok)
        return False

    async def _copy(self, client: str, server: Candidate, path: str) -> Upload | None:
        """Copy a file from a server, None if that fails or the file has another content."""
        received = self._uploads.receive(client)
        try:
            async with asyncio.timeout(FETCH_S), self._answer(server, hdrs.METH_GET, path) as answer:
                async for chunk in answer.content.iter_chunked(CHUNK):
                    received.write(chunk)
                return self._uploads.keep_copy(client, path, received) if answer.ok else None
        except (aiohttp.ClientError, OSError, TimeoutError, GatewayError, NoAnswerError):
            return None
        finally:
            received.discard()

    def _answer(self, server: Candidate, method: str, path: str) -> Any:
        place = PurePosixPath(path)
        folder = "" if place.parent == PurePosixPath() else str(place.parent)
        query = {"filename": place.name, "subfolder": folder, "type": "input"}
        return self._upstream.stream(server.config, method, "/view", query, {hdrs.ACCEPT_ENCODING: "identity"})

    def _note_absent(self, path: str) -> None:
        if len(self._absent) >= MAX_ABSENT:
            self._absent.clear()
        self._absent[path] = time.monotonic()


def _has_digest(path: str) -> bool:
    return _DIGEST.search(PurePosixPath(path).stem) is not None
