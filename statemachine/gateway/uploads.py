"""Uploaded files: kept on disk, bounded for each client, and handed to a server before the first prompt that uses them.

The name that a client gets back contains a digest of its name and the content, so names do not collide on a server.
A graph may use the original name, too; it stands for the client's latest upload under that name.
"""

import asyncio
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from tempfile import mkstemp
from typing import Any, BinaryIO

import aiohttp

from statemachine.gateway.errors import GatewayError, bad_request
from statemachine.gateway.json_text import dumps, loads
from statemachine.gateway.upstream import NoAnswerError, NotSentError, Upstream
from statemachine.settings import ServerConfig

MAX_FILE = 100 * 1024 * 1024
"""Bytes of an uploaded file, ComfyUI's own limit."""
MAX_FILES = 5_000
"""Files of one client; the oldest are removed first."""
MAX_NAME = 150
MAX_DEPTH = 8
DIGEST_LENGTH = 16
"""Characters of the digest in a name."""
INDEX_FILE = "uploads.json"
IMAGE, MASK = "/upload/image", "/upload/mask"

_NAME = re.compile(r"[^/\\\0-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a client. `original` is its name at the client, with the subfolder, and `path` that on the servers.

    `of` is the image that a mask belongs to, as the client named it.
    """

    client: str
    original: str
    path: str
    digest: str
    size: int
    route: str = IMAGE
    of: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """The file's name on the servers."""
        return PurePosixPath(self.path).name

    @property
    def subfolder(self) -> str:
        """Its subfolder, empty for none."""
        parent = str(PurePosixPath(self.path).parent)
        return "" if parent == "." else parent


class Receiving:
    """A file of a client that is being received. The bytes go to disk as they arrive."""

    def __init__(self, folder: Path, client: str, limit: int = MAX_FILE) -> None:
        self._limit = limit
        descriptor, name = mkstemp(dir=folder, prefix="receiving-")
        self.path = Path(name)
        self._file: BinaryIO = os.fdopen(descriptor, "wb")
        self._sha = sha256(f"{client}\0".encode())
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Add bytes. Raises GatewayError if there are too many."""
        self.size += len(chunk)
        if self.size > self._limit:
            message = f"the file is larger than {self._limit // 1024} KiB"
            raise GatewayError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "upload_too_large", message)
        self._sha.update(chunk)
        self._file.write(chunk)

    def close(self) -> str:
        """Return the digest of the client's name and the whole file, so that it is the same at every gateway."""
        self._file.close()
        return self._sha.hexdigest()

    def discard(self) -> None:
        """Remove the file, unless it was kept."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class Uploads:
    """The uploads of all clients. Each client has at most `quota` bytes; its oldest files are removed first."""

    def __init__(self, folder: Path, quota: int) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        self._quota = quota
        for left in folder.glob("receiving-*"):
            left.unlink(missing_ok=True)
        self._by_path = {(one.client, one.path): one for one in _read_index(folder)}
        self._latest = {(one.client, one.original): one for one in self._by_path.values()}
        self._handed: dict[tuple[str, str], asyncio.Task[None]] = {}

    def receive(self, client: str) -> Receiving:
        """Return a new file of a client to write to."""
        return Receiving(self._folder, client)

    def keep(
        self, client: str, original: str, received: Receiving, route: str = IMAGE, of: Mapping[str, Any] | None = None
    ) -> Upload:
        """Keep a received file. Raises GatewayError if its name is not allowed."""
        path = checked_path(original)
        digest = received.close()
        unique = path.with_name(f"{path.stem[:MAX_NAME]}-{digest[:DIGEST_LENGTH]}{path.suffix}")
        return self._keep(Upload(client, str(path), str(unique), digest, received.size, route, of), received)

    def keep_copy(self, client: str, path: str, received: Receiving) -> Upload | None:
        """Keep a file that was copied from a server, None if its content does not have the digest in its name."""
        name, digest = checked_path(path), received.close()
        if not name.stem.endswith(f"-{digest[:DIGEST_LENGTH]}"):
            return None
        return self._keep(Upload(client, path, path, digest, received.size), received)

    def _keep(self, upload: Upload, received: Receiving) -> Upload:
        client = upload.client
        received.path.replace(self._file(upload))
        self._by_path.pop((client, upload.path), None)
        self._by_path[client, upload.path] = upload
        self._latest[client, upload.original] = upload
        self._remove_oldest(client)
        self._write_index()
        return upload

    def find(self, client: str, path: str) -> Upload | None:
        """Return a client's upload by the name on the servers or, the latest one, by the original name."""
        return self._by_path.get((client, path)) or self._latest.get((client, path))

    def file_of(self, upload: Upload) -> Path:
        """Return the file with an upload's content."""
        return self._file(upload)

    def insert(self, client: str, graph: dict[str, Any]) -> list[Upload]:
        """Return the uploads that a graph uses, after original names in it are replaced by those on the servers."""
        found: dict[str, Upload] = {}
        for inputs, key, value in texts_in(graph):
            text, mark = split_annotation(value)
            if text and (upload := self.find(client, text)) is not None:
                inputs[key] = upload.path + mark
                found[upload.path] = upload
        return [*self._originals(client, found.values()), *found.values()]

    async def hand_over(self, upload: Upload, server: ServerConfig, upstream: Upstream) -> None:
        """Send the file to the server once. Raises NotSentError if that is not possible."""
        key = (server.name, upload.path)
        task = self._handed.get(key)
        if task is None:
            task = self._handed[key] = asyncio.create_task(self._send(upload, server, upstream))
        try:
            await asyncio.shield(task)
        except (NotSentError, NoAnswerError, OSError) as error:
            self._handed.pop(key, None)
            raise NotSentError(f"{server.name} did not take the file {upload.name}: {error}") from error

    def forget(self, server: str) -> None:
        """Forget what was sent to a server that has left, or that is another one now."""
        self._handed = {key: task for key, task in self._handed.items() if key[0] != server}

    def forget_handed(self, server: str, uploads: Sequence[Upload]) -> None:
        """Send these files again before the next prompt: the server refused one that uses them."""
        for upload in uploads:
            self._handed.pop((server, upload.path), None)

    async def _send(self, upload: Upload, server: ServerConfig, upstream: Upstream) -> None:
        with self._file(upload).open("rb") as file:
            form = aiohttp.FormData()
            form.add_field("image", file, filename=upload.name, content_type="application/octet-stream")
            for name, value in {"subfolder": upload.subfolder, "type": "input", "overwrite": "true"}.items():
                form.add_field(name, value)
            if upload.of is not None:
                form.add_field("original_ref", dumps(self._reference(upload)).decode())
            answer = await upstream.upload(server, upload.route, form)
        if answer.status != HTTPStatus.OK:
            raise NoAnswerError(f"HTTP {answer.status}")

    def _originals(self, client: str, masks: Any) -> list[Upload]:
        """Return the images that masks belong to; the server needs them first."""
        names = [reference_path(one.of) for one in masks if one.of is not None]
        return [found for name in names if (found := self.find(client, name)) is not None]

    def _reference(self, mask: Upload) -> dict[str, Any]:
        original = self.find(mask.client, reference_path(mask.of or {}))
        if original is None:
            raise OSError("the image of the mask is not kept any more")
        return {"filename": original.name, "subfolder": original.subfolder, "type": "input"}

    def _remove_oldest(self, client: str) -> None:
        own = [one for one in self._by_path.values() if one.client == client]
        size = sum(one.size for one in own)
        for one in own[:-1]:
            if size <= self._quota and len(own) <= MAX_FILES:
                break
            self._remove(one)
            own, size = own[1:], size - one.size

    def _remove(self, upload: Upload) -> None:
        del self._by_path[upload.client, upload.path]
        if self._latest.get((upload.client, upload.original)) is upload:
            del self._latest[upload.client, upload.original]
        self._handed = {key: task for key, task in self._handed.items() if key[1] != upload.path}
        if not any(other.digest == upload.digest for other in self._by_path.values()):
            self._file(upload).unlink(missing_ok=True)

    def _file(self, upload: Upload) -> Path:
        return self._folder / upload.digest

    def _write_index(self) -> None:
        rows = [[one.client, one.original, one.path, one.digest, one.size, one.route, one.of] for one in self]
        draft = self._folder / f"{INDEX_FILE}.new"
        draft.write_bytes(dumps(rows))
        draft.replace(self._folder / INDEX_FILE)

    def __iter__(self) -> Any:
        return iter(self._by_path.values())


def checked_path(original: str) -> PurePosixPath:
    """Return the path of an upload below the input folder. Raises GatewayError for one that leaves it."""
    parts = original.split("/")
    valid = all(_NAME.fullmatch(part) and part.strip(". ") and len(part) <= MAX_NAME for part in parts)
    if not valid or len(parts) > MAX_DEPTH:
        raise bad_request(
            "invalid_name", "a file name or subfolder is empty, too long, or has / \\ .. or control codes"
        )
    return PurePosixPath(*parts)


def reference_path(reference: Mapping[str, Any]) -> str:
    """Return the path in an `original_ref`."""
    name, _ = split_annotation(str(reference.get("filename", "")))
    subfolder = str(reference.get("subfolder") or "")
    return f"{subfolder}/{name}" if subfolder else name


def texts_in(graph: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Yield the inputs of each node, with the name and the value of each that is a text."""
    for node in graph.values():
        inputs = node.get("inputs") if isinstance(node, dict) else None
        for key, value in list(inputs.items()) if isinstance(inputs, dict) else ():
            if isinstance(inputs, dict) and isinstance(value, str):
                yield inputs, key, value


def split_annotation(text: str) -> tuple[str, str]:
    """Return a file name without ComfyUI's mark of the input folder, and the mark."""
    mark = " [input]"
    return (text.removesuffix(mark), mark) if text.endswith(mark) else (text, "")


def _read_index(folder: Path) -> list[Upload]:
    with suppress(OSError, ValueError, TypeError):
        found = [Upload(*row) for row in loads((folder / INDEX_FILE).read_bytes())]
        return [one for one in found if (folder / one.digest).is_file()]
    return []
