"""The EndpointSlices of a service: a list, then a watch that goes on where the list ended.

The messages are those of Kubernetes' API: https://kubernetes.io/docs/reference/using-api/api-concepts/. A watch reports
changes one to a line; bookmarks report only how far it is. A version that is too old (410 Gone) requires a new list.
"""

import asyncio
import os
import random
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
from loguru import logger

from statemachine.core.backoff import backoff
from statemachine.core.messages import message, one_line, without_error_number
from statemachine.discovery.endpoint_slices import MAX_SLICES, EndpointSlices
from statemachine.discovery.file_source import from_json
from statemachine.discovery.http_source import TIMEOUT_S, limited_body, new_session, trusting
from statemachine.discovery.source import Report, SourceError
from statemachine.settings.discovery import KubernetesSource
from statemachine.settings.expand import bracketed
from statemachine.settings.files import read_limited

FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod has its credentials. The token is read for each request, because it is replaced before it expires."""

OK, FORBIDDEN, GONE = 200, 403, 410
PAGE = 500
WATCH_S = 290
"""How long the API is asked to keep a watch open; clients that ask for no end are cut off at random."""

SILENCE_S = 330.0
PAUSE_S = 1.0
"""Time between two watches. It doubles with each one that ends soon, up to the longest pause."""

MOST_PAUSE_S = 60.0
CALM_S = 10.0
"""A watch that stays open for so long has not ended soon."""

NOTED_SHORT = 3
"""Watches in a row that end soon before the log says so."""

SETTLE_S = 0.2
"""Changes within this time are reported together: a rollout of many pods makes thousands of them."""

MAX_LINE = 16 * 2**20
MAX_CREDENTIAL = 2**16


@dataclass(frozen=True, slots=True)
class PodCredentials:
    """The cluster in which this process is a pod: its environment and the folder of its credentials."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    folder: Path = FOLDER

    @property
    def url(self) -> str:
        """The address of the API. Raises SourceError outside of a cluster."""
        host, port = self.environ.get("KUBERNETES_SERVICE_HOST"), self.environ.get("KUBERNETES_SERVICE_PORT")
        if not (host and port):
            raise SourceError(message("source_not_in_cluster"))
        return f"https://{bracketed(host)}:{port}"

    async def read(self, name: str) -> str:
        """Return one of the credentials. Raises SourceError."""
        path = self.folder / name
        try:
            return (await asyncio.to_thread(read_limited, path, MAX_CREDENTIAL)).decode().strip()
        except (OSError, ValueError) as error:
            text = without_error_number(one_line(str(error)))
            raise SourceError(message("source_file", path=str(path), error=text)) from None


class WatchPauses:
    """The pauses between watches: longer the more of them in a row have ended soon and without a change."""

    def __init__(self, base_s: float) -> None:
        self._base_s = base_s
        self._began = -CALM_S
        self._short = 0

    def note_change(self) -> None:
        """Note that a watch has reported a change."""
        self._short = 0

    def next_s(self, now: float) -> float:
        """Return the pause after a watch that has ended now."""
        self._short = 0 if now - self._began >= CALM_S else self._short + 1
        if self._short == NOTED_SHORT:
            logger.warning("Kubernetes' API ends each watch at once; the endpoints are asked for less and less often")
        pause_s = backoff(self._short, self._base_s, MOST_PAUSE_S, random.random)
        self._began = now + pause_s
        return pause_s


class _Coalesced:
    """Calls `report` once for all changes within a short time, and at the end of the block."""

    def __init__(self, report: Callable[[], None]) -> None:
        self._report = report
        self._due: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._due is not None:
            self._due.cancel()
            self._call()

    def note(self) -> None:
        """Note a change."""
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(SETTLE_S, self._call)

    def _call(self) -> None:
        self._due = None
        self._report()


class _GoneError(Exception):
    """The version is too old for a watch."""


class KubernetesTargets:
    """Follows the EndpointSlices of a service."""

    def __init__(
        self, settings: KubernetesSource, cluster: PodCredentials | None = None, pause_s: float = PAUSE_S
    ) -> None:
        self._settings = settings
        self._cluster = cluster or PodCredentials()
        self._slices = EndpointSlices(settings.scheme, settings.service_port)
        self._pauses = WatchPauses(pause_s)

    async def run(self, report: Report) -> None:
        """Report the service's endpoints after every change until cancelled. Raises SourceError."""
        cluster = self._cluster
        namespace = self._settings.namespace or await cluster.read("namespace")
        url = f"{cluster.url}/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        tls = await trusting(cluster.folder / "ca.crt")
        async with new_session() as session:
            api = _Api(session, url, tls, cluster, f"kubernetes.io/service-name={self._settings.service}")
            while True:
                await self._list_and_watch(api, report)
                await asyncio.sleep(self._pauses.next_s(_loop_time()))

    async def _list_and_watch(self, api: "_Api", report: Report) -> None:
        """List the slices and follow them until the version is too old. Raises SourceError."""
        try:
            version = await self._list(api)
            report(self._slices.listing())
            while True:
                version = await self._watch(api, version, report)
                await asyncio.sleep(self._pauses.next_s(_loop_time()))
        except _GoneError:
            return

    async def _watch(self, api: "_Api", version: str, report: Report) -> str:
        """Follow the slices until the API ends the watch; return how far it came."""
        with _Coalesced(lambda: report(self._slices.listing())) as changes:
            async for event in api.watch(version):
                version = _version(event.get("object")) or version
                if self._apply(event):
                    self._pauses.note_change()
                    changes.note()
        return version

    async def _list(self, api: "_Api") -> str:
        """Read all pages of the list; return its version."""
        found, token = list[Any](), ""
        while True:
            page = await api.page(token)
            found += page.get("items") or ()
            metadata = page.get("metadata") or {}
            token = str(metadata.get("continue") or "")
            if not token or len(found) >= MAX_SLICES:
                break
        self._slices.clear()
        for one in found:
            self._slices.put(one)
        return _version(page) or "0"

    def _apply(self, event: Mapping[str, Any]) -> bool:
        """Apply an event of the watch; return whether the slices may have changed."""
        match event.get("type"):
            case "ADDED" | "MODIFIED":
                self._slices.put(event.get("object"))
            case "DELETED":
                self._slices.remove(event.get("object"))
            case "ERROR":
                raise _failure(event.get("object"))
            case _:
                return False
        return True


@dataclass(frozen=True, slots=True)
class _Api:
    """Requests for the slices at `url`. Every request reads the token again."""

    session: aiohttp.ClientSession
    url: str
    tls: ssl.SSLContext
    cluster: PodCredentials
    selector: str

    async def page(self, token: str) -> Any:
        """Return one page of the list. Raises SourceError or _GoneError."""
        query = {"labelSelector": self.selector, "limit": str(PAGE), **({"continue": token} if token else {})}
        try:
            async with asyncio.timeout(TIMEOUT_S), await self._get(query) as response:
                data = from_json(await limited_body(_usable(response)))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unanswered(error) from None
        if not isinstance(data, dict):
            raise SourceError(message("source_not_kubernetes"))
        return data

    async def watch(self, version: str) -> AsyncIterator[Mapping[str, Any]]:
        """Yield the events after this version until the API ends the watch. Raises SourceError or _GoneError."""
        query = {
            "labelSelector": self.selector,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_S),
        }
        try:
            async with await self._get(query) as response:
                async for line in _lines(_usable(response)):
                    event = from_json(line)
                    if isinstance(event, dict):
                        yield event
        except (aiohttp.ClientPayloadError, aiohttp.SocketTimeoutError, ConnectionResetError):
            return  # cut off in the middle: the next watch goes on from the last version
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unanswered(error) from None

    async def _get(self, query: Mapping[str, str]) -> aiohttp.ClientResponse:
        token = await self.cluster.read("token")
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT_S, sock_read=SILENCE_S)
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{self.url}?{urlencode(query)}"
        return await self.session.get(url, headers=headers, ssl=self.tls, allow_redirects=False, timeout=timeout)


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def _usable(response: aiohttp.ClientResponse) -> aiohttp.ClientResponse:
    if response.status == GONE:
        raise _GoneError
    if response.status == FORBIDDEN:
        raise SourceError(message("source_forbidden"))
    if response.status != OK:
        raise SourceError(message("source_status", status=response.status))
    return response


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Yield the lines of a body, which may be longer than aiohttp's own limit."""
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield line
        if len(rest) > MAX_LINE:
            raise SourceError(message("source_too_large", bytes=MAX_LINE))


def _version(found: Any) -> str:
    metadata = found.get("metadata") if isinstance(found, dict) else None
    return str(metadata.get("resourceVersion") or "") if isinstance(metadata, dict) else ""


def _failure(status: Any) -> Exception:
    """Return the exception for a Status object that the watch reports."""
    code = status.get("code") if isinstance(status, dict) else None
    return _GoneError() if code == GONE else SourceError(message("source_status", status=str(code)))


def _unanswered(error: Exception) -> SourceError:
    text = without_error_number(one_line(str(error))) or type(error).__name__
    return SourceError(message("source_no_answer", error=text))
