"""Another client of a server, as the web page is one: it posts a prompt and reads its frames and its result."""

import asyncio
import uuid
from itertools import count

import aiohttp

from tests.comfyui.matrix.kinds import image_workflow
from tests.comfyui.rig import RealServer

TIMEOUT_S = 60.0
colors = count(100)


async def run_beside(server: RealServer) -> float:
    """Run a workflow that has not run before; return when it succeeded, in seconds since the epoch.

    Raises AssertionError unless the client receives its frames and its image, and ComfyUI's record is a success.
    """
    client_id = str(uuid.uuid4())
    address = f"{server.url}/ws?clientId={client_id}"
    async with aiohttp.ClientSession() as session, session.ws_connect(address) as socket:
        assert (await socket.receive_json())["type"] == "status"
        prompt_id = await server.submit(image_workflow(next(colors)), client_id=client_id)
        kinds = await _frames_until_end(socket, prompt_id)
    assert {"execution_start", "executing", "executed"} <= kinds, f"the client received only {sorted(kinds)}"
    await server.wait_idle()
    entry = (await server.history())[prompt_id]
    assert entry["status"]["status_str"] == "success", entry["status"]
    assert entry["outputs"]["2"]["images"], "the prompt has no image"
    messages = dict(entry["status"]["messages"])
    return float(messages["execution_success"]["timestamp"]) / 1000


async def _frames_until_end(socket: aiohttp.ClientWebSocketResponse, prompt_id: str) -> set[str]:
    """Return the kinds of the frames about the prompt; the last one names no node."""
    kinds: set[str] = set()
    async with asyncio.timeout(TIMEOUT_S):
        async for frame in socket:
            if frame.type is not aiohttp.WSMsgType.TEXT:
                continue
            content = frame.json()
            if content["data"].get("prompt_id") != prompt_id:
                continue
            kinds.add(content["type"])
            if content["type"] == "executing" and content["data"]["node"] is None:
                return kinds
    raise AssertionError("the server closed the client's connection")
