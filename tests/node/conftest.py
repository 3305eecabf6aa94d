"""Imports the companion node as ComfyUI does, over fakes of ComfyUI's modules, and serves it over HTTP."""

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

FAKES = Path(__file__).with_name("fakes")
JSON = {"Accept": "application/json"}
FAKE_MODULES = (
    "server",
    "execution",
    "comfy",
    "comfy.cli_args",
    "comfy.model_management",
    "comfy.model_patcher",
    "pack.inspire.backend_support",
)


class FakeComfyUI:
    """A fake ComfyUI that has just started with the node installed."""

    def __init__(self, folder: Path) -> None:
        self.workflows = folder
        self.server = importlib.import_module("server").PromptServer(asyncio.get_running_loop())
        type(self.server).instance = self.server
        self.package = importlib.import_module("comfyui_node")
        self.http: TestClient[web.Request, web.Application]

    def module(self, name: str) -> Any:
        """Import a fake module, or a module of the package."""
        return importlib.import_module(name if name in FAKE_MODULES else f"comfyui_node.{name}")

    def add_module(self, name: str, **content: object) -> ModuleType:
        """Add a module to sys.modules, as if another part of ComfyUI had imported it."""
        module = sys.modules[name] = ModuleType(name)
        vars(module).update(content)
        return module

    def add_workflow(self, name: str, *keys: str, class_type: str = "CacheModel //comfywarm") -> dict[str, Any]:
        nodes = {f"{i}": {"class_type": class_type, "inputs": {"key": key}} for i, key in enumerate(keys)}
        (self.workflows / f"{name}.json").write_text(json.dumps(nodes), encoding="utf-8")
        return nodes

    def store(self, *keys: str) -> None:
        """Cache the keys as a workflow's CacheModel nodes do."""
        for key in keys:
            self.package.NODE_CLASS_MAPPINGS["CacheModel //comfywarm"]().store(key, "tag", f"data of {key}")

    def drop(self, key: str) -> None:
        self.package.NODE_CLASS_MAPPINGS["DropModel //comfywarm"]().drop(key)

    @property
    def frames(self) -> list[dict[str, Any]]:
        assert {event for event, _ in self.server.sent} <= {"comfywarm.cache"}
        return [data for _, data in self.server.sent]

    async def check(self, query: str = "", **headers: str) -> tuple[int, str]:
        """Send the cache check. Return its status and body."""
        async with self.http.get(f"/cache/check{query}", headers=headers) as response:
            return response.status, await response.text()

    async def check_json(self, query: str = "") -> dict[str, Any]:
        status, body = await self.check(query, **JSON)
        assert status == 200, body
        answer: dict[str, Any] = json.loads(body)
        return answer


@contextmanager
def importable() -> Iterator[None]:
    """Put the fakes on sys.path; afterwards remove them and the package from sys.modules."""
    sys.path.insert(0, str(FAKES))
    try:
        yield
    finally:
        sys.path.remove(str(FAKES))
        for name in list(sys.modules):
            if name in FAKE_MODULES or name.split(".")[0] == "comfyui_node":
                del sys.modules[name]


@pytest_asyncio.fixture
async def comfyui(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeComfyUI]:
    monkeypatch.setenv("COMFYWARM_WORKFLOWS", str(tmp_path))
    with importable():
        comfyui = FakeComfyUI(tmp_path)
        app = web.Application()
        app.add_routes(comfyui.server.routes)
        async with TestClient(TestServer(app)) as comfyui.http:
            yield comfyui
        (watching,) = comfyui.module("install")._tasks
        watching.cancel()
