"""GET /view, and the uploads of clients."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from typing_extensions import override

from statemachine.gateway.errors import GatewayError, bad_request
from statemachine.gateway.finder import Finder
from statemachine.gateway.fleet_view import FleetView
from statemachine.gateway.json_text import loads
from statemachine.gateway.records import File, PromptRecord, split_tag
from statemachine.gateway.relay import relay
from statemachine.gateway.requests import READ_TIMEOUT_S, client_of, too_large
from statemachine.gateway.results import Results
from statemachine.gateway.shared_uploads import SharedUploads
from statemachine.gateway.uploads import IMAGE, MASK, Receiving, Upload, Uploads, checked_path, reference_path
from statemachine.gateway.upstream import Upstream

MAX_FIELD = 64 * 1024
MAX_FIELDS = 20
MAX_LINES = 1_000
"""Lines of a form outside of its fields: the boundaries, and what precedes the first one."""
CHUNK = 256 * 1024


class Files:
    """Serves the files of a client's prompts, and receives its uploads."""

    def __init__(
        self,
        view: FleetView,
        upstream: Upstream,
        finder: Finder,
        results: Results,
        uploads: Uploads,
        shared: SharedUploads,
    ) -> None:
        self._view = view
        self._upstream = upstream
        self._finder = finder
        self._results = results
        self._uploads = uploads
        self._shared = shared

    def routes(self) -> list[web.RouteDef]:
        """Return the routes that this object handles."""
        return [web.get("/view", self.show), web.post(IMAGE, self.upload), web.post(MASK, self.upload)]

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Answer with a file of one of the client's prompts, or with one of its uploads."""
        query = dict(request.query)
        filename, subfolder = query.get("filename", ""), query.get("subfolder", "")
        is_input = query.get("type", "output") == "input"
        upload = await self._shared.find(client_of(), reference_path(query)) if is_input else None
        if upload is not None:
            headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
            return web.FileResponse(self._uploads.file_of(upload), headers=headers)
        prompt_id, rest = split_tag(subfolder)
        record = await self._finder.find(client_of(), prompt_id)
        server = self._view.get(record.server) if record is not None else None
        file = File(filename, rest, query.get("type", "output"))
        if record is None or server is None or not await self._has(record, file):
            return web.Response(status=404)
        return await relay(request, self._upstream, server.config, "/view", {**query, "subfolder": rest})

    async def upload(self, request: web.Request) -> web.Response:
        """Keep an uploaded file, and answer with the name that it has on the servers."""
        received = self._uploads.receive(client_of())
        try:
            fields = await _read_form(request, received)
            upload = await self._keep(request, fields, received)
        finally:
            received.discard()
        await self._shared.share(upload)
        return web.json_response({"name": upload.name, "subfolder": upload.subfolder, "type": "input"})

    async def _keep(self, request: web.Request, fields: Mapping[str, str], received: Receiving) -> Upload:
        if "image" not in fields:
            raise bad_request("no_image", "the form has no file with the name `image`")
        if fields.get("type", "input") != "input":
            raise bad_request("invalid_type", "the gateway takes uploads of the type `input` only")
        client, subfolder = client_of(), fields.get("subfolder", "").strip("/")
        original = str(checked_path(f"{subfolder}/{fields['image']}" if subfolder else fields["image"]))
        if not request.path.endswith(MASK):
            return self._uploads.keep(client, original, received)
        reference = _reference(fields.get("original_ref", ""))
        if await self._shared.find(client, reference_path(reference)) is None:
            raise bad_request(
                "unknown_image", "the gateway keeps masks for uploaded images only; upload the image first"
            )
        return self._uploads.keep(client, original, received, MASK, reference)

    async def _has(self, record: PromptRecord, file: File) -> bool:
        """Return whether the prompt has written the file: a client must not see those of others."""
        if record.has_written(file):
            return True
        with suppress(GatewayError):
            return file in await self._results.files_of(record)
        return False


class _FormReader(MultipartReader):
    """Refuses a form that consists of lines without end. aiohttp reads them without a pause."""

    _lines = 0

    @override
    async def _readline(self) -> bytes:
        self._lines += 1
        if self._lines > MAX_LINES:
            raise ValueError("too many lines")
        return await super()._readline()


async def _read_form(request: web.Request, received: Receiving) -> dict[str, str]:
    """Write the file of the form to disk as it arrives; return the other fields, and the file's name as `image`."""
    fields: dict[str, str] = {}
    try:
        reader = _FormReader(request.headers, request.content)
        while (part := await _in_time(reader.next())) is not None:
            if not isinstance(part, BodyPartReader) or len(fields) >= MAX_FIELDS:
                raise bad_request("invalid_form", "the form is nested or has too many fields")
            if part.name == "image" and "image" not in fields:
                fields["image"] = part.filename or ""
                while chunk := await _in_time(part.read_chunk(CHUNK)):
                    received.write(chunk)
            else:
                fields[part.name or ""] = await _field(part)
    except (ValueError, AssertionError, KeyError, RuntimeError, HttpProcessingError) as error:
        raise bad_request("invalid_form", "the body is not a valid multipart form") from error
    return fields


async def _field(part: BodyPartReader) -> str:
    value = bytearray()
    while chunk := await _in_time(part.read_chunk(CHUNK)):
        value += chunk
        if len(value) > MAX_FIELD:
            raise too_large(MAX_FIELD)
    return value.decode("utf-8", "replace")


async def _in_time(reading: Any) -> Any:
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            return await reading
    except TimeoutError:
        raise bad_request("too_slow", "the form did not arrive in time") from None


def _reference(text: str) -> Mapping[str, Any]:
    try:
        value = loads(text.encode())
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise bad_request("invalid_reference", "original_ref is not a JSON object")
    return value
