"""The programs in docs/client.md run as they are printed there."""

import asyncio
import json
import os
import re
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from statemachine.core.ports import Action
from tests.cli.rig import SmallDaemon, line
from tests.client.test_waiting import loaded
from tests.support.paths import REPOSITORY
from tests.support.polling import PATIENCE_S
from tests.web.site import COLD, LOADED

DOCS = REPOSITORY / "docs" / "client.md"
PROGRAMS = re.findall(r"```python\n(\"\"\".*?)```", DOCS.read_text("utf-8"), re.DOTALL)


@asynccontextmanager
async def program(number: int, daemon: SmallDaemon, *arguments: str) -> AsyncIterator[Process]:
    """Run a program of the page against the daemon."""
    variables = {**os.environ, "COMFYWARM_URL": f"http://127.0.0.1:{daemon.port}", "PYTHONPATH": str(REPOSITORY)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAMS[number], *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=variables
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def test_page_has_three_programs() -> None:
    assert len(PROGRAMS) == 3


async def test_program_that_routes_prints_a_warm_server(daemon: SmallDaemon, tmp_path: Path) -> None:
    graph = tmp_path / "graph.json"
    graph.write_text(json.dumps({"1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a.ckpt"}}}))
    async with program(0, daemon, str(graph)) as process:
        assert (await line(process)).split()[0] == f"http://{LOADED}"


async def test_program_for_maintenance_pauses_and_resumes(daemon: SmallDaemon) -> None:
    async with program(1, daemon, "default", "30") as process:
        assert (await line(process)).startswith(f"{LOADED} loaded")
        assert (await line(process)).startswith(f"{COLD} cold")
        assert process.stdin is not None
        process.stdin.write(b"\n")
        await daemon.wait_for_requests("/api/status", times=2)
        await daemon.record(loaded(COLD))
        assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0
    assert [action for _, action in daemon.operator.actions] == [Action.PAUSE] * 2 + [Action.RESUME] * 2


async def test_program_that_follows_events_continues_where_it_ended(daemon: SmallDaemon, tmp_path: Path) -> None:
    place = tmp_path / "last-event"
    async with program(2, daemon, str(place)) as process:
        await daemon.wait_for_requests("/api/events", times=1)
        await daemon.write(COLD, ["one"])
        assert COLD in await line(process)
        await daemon.write(LOADED, ["two"])
        assert LOADED in await line(process)
    place.write_text("1")
    async with program(2, daemon, str(place)) as process:
        assert LOADED in await line(process)
