"""The programs in docs/client.md and docs/autoscaling.md run as they are printed there."""

import asyncio
import json
import os
import re
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer

from statemachine.core.ports import Action
from tests.cli.rig import SmallDaemon, line
from tests.client.test_waiting import loaded
from tests.support.paths import REPOSITORY
from tests.support.polling import PATIENCE_S
from tests.web.site import COLD, LOADED

PROGRAMS = [
    program
    for page in ("client.md", "autoscaling.md")
    for program in re.findall(r"```python\n(\"\"\".*?)```", (REPOSITORY / "docs" / page).read_text("utf-8"), re.DOTALL)
]


@asynccontextmanager
async def program(number: int, port: int, *arguments: str) -> AsyncIterator[Process]:
    """Run a program of the page against the daemon."""
    variables = {**os.environ, "COMFYWARM_URL": f"http://127.0.0.1:{port}", "PYTHONPATH": str(REPOSITORY)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAMS[number], *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=variables
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def test_pages_have_three_programs_and_one() -> None:
    assert len(PROGRAMS) == 4


async def test_program_that_routes_prints_a_warm_server(daemon: SmallDaemon, tmp_path: Path) -> None:
    graph = tmp_path / "graph.json"
    graph.write_text(json.dumps({"1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a.ckpt"}}}))
    async with program(0, daemon.port, str(graph)) as process:
        assert (await line(process)).split()[0] == f"http://{LOADED}"


async def test_program_for_maintenance_pauses_and_resumes(daemon: SmallDaemon) -> None:
    async with program(1, daemon.port, "default", "30") as process:
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
    async with program(2, daemon.port, str(place)) as process:
        await daemon.wait_for_requests("/api/events", times=1)
        await daemon.write(COLD, ["one"])
        assert COLD in await line(process)
        await daemon.write(LOADED, ["two"])
        assert LOADED in await line(process)
    place.write_text("1")
    async with program(2, daemon.port, str(place)) as process:
        assert LOADED in await line(process)


class WantedByTest:
    """A daemon that wants what the test sets; the start and stop commands write into `done`."""

    def __init__(self, folder: Path) -> None:
        self.servers, self.wanted = 1, 1
        self.asked = asyncio.Event()
        self.paused: list[str] = []
        self.done = folder / "done"
        self.command = folder / "command"
        self.command.write_text(f'#!/bin/sh\necho "$@" >> {self.done}\n')
        self.command.chmod(0o700)

    def lines(self) -> list[str]:
        return self.done.read_text().split() if self.done.exists() else []

    async def answer_wanted(self, _request: web.Request) -> web.Response:
        self.asked.set()
        group = {"group": "lab", "servers": self.servers, "loaded": 1, "wanted": self.wanted, "reason": "recent"}
        rest = {"message": "m", "waiting": 0, "arrivals_per_s": 0.1, "run_s": 1.0, "expected_wait_s": None}
        groups = [{**group, **rest, "change": self.wanted - self.servers}]
        return web.json_response({"generated_at": "2026-01-01T00:00:00Z", "target_wait_s": 30.0, "groups": groups})

    async def answer_status(self, _request: web.Request) -> web.Response:
        head = {"group": "lab", "state": "loaded", "since": None, "reason": "r", "message": "m", "progress": None}
        servers = [{**head, "name": f"s{n}", "cache_loaded": True, "queue_remaining": n % 2} for n in range(3)]
        whole = {"generated_at": "2026-01-01T00:00:00Z", "servers": servers, "states": {}, "total": 3}
        return web.json_response(whole)

    async def answer_pause(self, request: web.Request) -> web.Response:
        self.paused.append(request.match_info["name"])
        return web.json_response({"server": self.paused[-1], "action": "pause"}, status=202)

    async def asked_again(self) -> None:
        """Wait until the program has acted on an answer: it asks only afterwards."""
        for _ in range(2):
            self.asked.clear()
            await asyncio.wait_for(self.asked.wait(), PATIENCE_S)


async def test_program_that_scales_starts_one_at_a_time_and_stops_idle_ones(tmp_path: Path) -> None:
    fleet, app = WantedByTest(tmp_path), web.Application()
    app.router.add_get("/api/wanted", fleet.answer_wanted)
    app.router.add_get("/api/status", fleet.answer_status)
    app.router.add_post("/api/servers/{name}/pause", fleet.answer_pause)
    command = str(fleet.command)
    async with (
        TestServer(app, host="127.0.0.1") as server,
        program(3, server.port or 0, "lab", command, command, "0.02"),
    ):
        await fleet.asked_again()
        assert fleet.lines() == []
        fleet.wanted = 4
        await fleet.asked_again()
        await fleet.asked_again()
        assert fleet.lines() == ["lab"]
        fleet.servers = 2
        await fleet.asked_again()
        assert fleet.lines() == ["lab", "lab"]
        fleet.servers, fleet.wanted = 3, 3
        await fleet.asked_again()
        fleet.wanted = 2
        await fleet.asked_again()
    assert (fleet.paused[0], fleet.lines()[2]) == ("s2", "s2")
