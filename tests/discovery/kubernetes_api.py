"""A Kubernetes API that is played from its documented messages: a list in pages, and a watch with bookmarks.

https://kubernetes.io/docs/reference/using-api/api-concepts/ and the reference of EndpointSlice, discovery.k8s.io/v1.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trustme
from aiohttp import web

from statemachine.discovery.kubernetes_source import PodCredentials
from tests.support.ports import free_port

ROUTE = "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
Json = dict[str, Any]


def endpoint(address: str, pod: str | None = None, **conditions: bool) -> Json:
    reference = {"targetRef": {"kind": "Pod", "name": pod}} if pod else {}
    return {"addresses": [address], "conditions": conditions, "nodeName": "node-1", "zone": "a", **reference}


def endpoint_slice(name: str, *endpoints: Json, family: str = "IPv4", port: Any = 8188) -> Json:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "comfyui"}},
        "addressType": family,
        "endpoints": list(endpoints),
        "ports": [{"name": "metrics", "port": 9090}, {"name": "http", "port": port}],
    }


class KubernetesApi:
    """The slices of a service, and the watches that follow them.

    `version` rises with each change. A version below `oldest` is 410 Gone. `requests` has the queries of all requests.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.slices: dict[str, Json] = {}
        self.version = 100
        self.oldest = 0
        self.page = 500
        self.status = 200
        self.requests: list[dict[str, str]] = []
        self.tokens: list[str] = []
        self._watches: list[asyncio.Queue[Json | None]] = []

    @property
    def credentials(self) -> PodCredentials:
        environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.port)}
        return PodCredentials(environ, self.folder)

    @property
    def watches(self) -> list[dict[str, str]]:
        """The queries of the watches."""
        return [query for query in self.requests if query.get("watch") == "1"]

    def put(self, one: Json) -> None:
        """Add or change a slice, and send it to the watches."""
        name = one["metadata"]["name"]
        kind = "MODIFIED" if name in self.slices else "ADDED"
        self.version += 1
        one["metadata"]["resourceVersion"] = str(self.version)
        self.slices[name] = one
        self.send({"type": kind, "object": one})

    def delete(self, name: str) -> None:
        self.version += 1
        one = self.slices.pop(name)
        one["metadata"]["resourceVersion"] = str(self.version)
        self.send({"type": "DELETED", "object": one})

    def bookmark(self) -> None:
        """Report only how far the watch is."""
        self.version += 1
        metadata = {"resourceVersion": str(self.version)}
        self.send({"type": "BOOKMARK", "object": {"kind": "EndpointSlice", "metadata": metadata}})

    def send(self, event: Json) -> None:
        for watch in self._watches:
            watch.put_nowait(event)

    def end_watches(self) -> None:
        """End the watches as at their timeout."""
        for watch in self._watches:
            watch.put_nowait(None)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(dict(request.query))
        self.tokens.append(request.headers.get("Authorization", ""))
        if self.status != 200:
            return web.json_response(status_object(self.status), status=self.status)
        assert request.query["labelSelector"] == "kubernetes.io/service-name=comfyui"
        return await self._watch(request) if request.query.get("watch") == "1" else self._list(request)

    def _list(self, request: web.Request) -> web.Response:
        names = sorted(self.slices)
        start = int(request.query.get("continue", "0"))
        end = start + self.page
        metadata = {"resourceVersion": str(self.version), **({"continue": str(end)} if end < len(names) else {})}
        items = [self.slices[name] for name in names[start:end]]
        return web.json_response({"kind": "EndpointSliceList", "metadata": metadata, "items": items})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        if int(request.query["resourceVersion"]) < self.oldest:
            return web.json_response(status_object(410), status=410)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        watch = asyncio.Queue[Json | None]()
        self._watches.append(watch)
        try:
            while (event := await watch.get()) is not None:
                line = json.dumps(event).encode() + b"\n"
                await response.write(line[:20])
                await response.write(line[20:])
        finally:
            self._watches.remove(watch)
        return response


def status_object(code: int) -> Json:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": code}


@asynccontextmanager
async def kubernetes_api(folder: Path) -> AsyncIterator[KubernetesApi]:
    """Run the API over https, with the credentials of a pod in the folder."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.crt")
    (folder / "token").write_text("token-1\n")
    (folder / "namespace").write_text("gpu")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    api = KubernetesApi(folder, free_port())
    app = web.Application()
    app.router.add_get(ROUTE, api.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", api.port, ssl_context=context).start()
    try:
        yield api
    finally:
        api.end_watches()
        await runner.cleanup()
