"""The gateway as a process of its own. `campaigns.gateway` kills it at any instant."""

import asyncio
import json
import re
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.daemon import command
from tests.support.polling import PATIENCE_S
from tests.support.ports import free_port

ADDRESS = re.compile(r"the gateway is at (\S+)")


async def address_of(process: Process) -> str:
    """Read the process's log until it listens; return its address."""
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        async for line in process.stderr:
            if found := ADDRESS.search(line.decode()):
                return found[1]
    raise AssertionError("the gateway ended before it listened")


def settings_file(folder: Path, names: list[str], name: str) -> tuple[Path, str]:
    """Write the settings of a gateway; return their path and the gateway's address."""
    section = {"port": free_port(), "data_dir": str(folder / name), "max_prompts": 1000}
    path = folder / f"{name}.json"
    servers = [f"http://{server}" for server in names]
    path.write_text(json.dumps({"servers": servers, "listen": {"port": 0}, "gateway": section}), encoding="utf-8")
    return path, f"http://127.0.0.1:{section['port']}"


@asynccontextmanager
async def gateway_process(path: Path) -> AsyncIterator[Process]:
    """Run a gateway as a process that listens, and read its log to the end."""
    async with command(path, "gateway") as process:
        await address_of(process)
        assert process.stderr is not None
        reading = asyncio.create_task(process.stderr.read())
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await reading


async def test_gateway_process_ends_on_sigterm(tmp_path: Path) -> None:
    path, _ = settings_file(tmp_path, ["127.0.0.1:9"], "one")
    async with gateway_process(path) as process:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0
