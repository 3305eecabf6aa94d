"""The companion node imported as ComfyUI does, over stand-ins for ComfyUI's modules, and served over HTTP."""

import asyncio
import importlib
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

STANDINS = Path(__file__).with_name("standins")
JSON = {"Accept": "application/json"}
STANDING_IN = ("server", "execution", "comfy", "comfy.model_management", "pack.inspire.backend_support")


class Inside:
    """A ComfyUI that has just started with the node in it."""

    def __init__(self, folder: Path) -> None:
        self.workflows = folder
        self.server = importlib.import_module("server").PromptServer(asyncio.get_running_loop())
        type(self.server).instance = self.server
        self.package = importlib.import_module("comfyui_node")
        self.http: TestClient[web.Request, web.Application]

    def module(self, name: str) -> Any:
        """One of the package's modules, or of the stand-ins."""
        return importlib.import_module(name if name in STANDING_IN else f"comfyui_node.{name}")

    def add_module(self, name: str, **content: object) -> ModuleType:
        """What another part of ComfyUI has imported."""
        module = sys.modules[name] = ModuleType(name)
        vars(module).update(content)
        return module

    def add_workflow(self, name: str, *keys: str, class_type: str = "CacheModel //comfywarm") -> dict[str, Any]:
        nodes = {f"{i}": {"class_type": class_type, "inputs": {"key": key}} for i, key in enumerate(keys)}
        (self.workflows / f"{name}.json").write_text(json.dumps(nodes), encoding="utf-8")
        return nodes

    def keep(self, *keys: str) -> None:
        """What the worker does when a workflow caches."""
        for key in keys:
            self.package.NODE_CLASS_MAPPINGS["CacheModel //comfywarm"]().keep(key, "tag", f"data of {key}")

    def drop(self, key: str) -> None:
        self.package.NODE_CLASS_MAPPINGS["DropModel //comfywarm"]().drop(key)

    @property
    def frames(self) -> list[dict[str, Any]]:
        assert {event for event, _ in self.server.sent} <= {"comfywarm.cache"}
        return [data for _, data in self.server.sent]

    async def ask(self, query: str = "", **headers: str) -> tuple[int, str]:
        async with self.http.get(f"/cache/check{query}", headers=headers) as response:
            return response.status, await response.text()

    async def tell(self, query: str = "") -> dict[str, Any]:
        status, body = await self.ask(query, **JSON)
        assert status == 200, body
        answer: dict[str, Any] = json.loads(body)
        return answer


@contextmanager
def importable() -> Iterator[None]:
    """Have the stand-ins on sys.path; afterwards neither they nor the package were ever imported."""
    sys.path.insert(0, str(STANDINS))
    try:
        yield
    finally:
        sys.path.remove(str(STANDINS))
        for name in list(sys.modules):
            if name in STANDING_IN or name.split(".")[0] == "comfyui_node":
                del sys.modules[name]


@pytest_asyncio.fixture
async def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Inside]:
    monkeypatch.setenv("COMFYWARM_WORKFLOWS", str(tmp_path))
    with importable():
        inside = Inside(tmp_path)
        app = web.Application()
        app.add_routes(inside.server.routes)
        async with TestClient(TestServer(app)) as inside.http:
            yield inside
        (watching,) = inside.module("install")._tasks
        watching.cancel()
