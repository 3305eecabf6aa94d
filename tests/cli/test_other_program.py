"""Another program at the daemon's address: commands end with an error that says so, never a traceback."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from statemachine.client.api import DaemonApi
from statemachine.client.errors import DaemonUnavailableError
from statemachine.settings.masking import Mask
from tests.cli.rig import cli, program, write_settings

ENTRY = {
    "id": 1,
    "at": "2026-01-01T00:00:00Z",
    "server": "a",
    "from": None,
    "to": "cold",
    "reason": "x",
    "message": "m",
}
SERVER = {
    "name": "a",
    "group": "g",
    "state": "cold",
    "reason": "x",
    "message": "m",
    "cache_loaded": False,
    "progress": None,
    "queue_remaining": 0,
}
WHOLE: dict[str, Any] = {"servers": [SERVER], "states": {"cold": 1}, "total": 1, "entries": [ENTRY], "next": None}
WRONG: list[Any] = [
    {},
    [],
    {**WHOLE, "servers": None, "entries": None},
    {**WHOLE, "servers": [1], "entries": [1]},
    {**WHOLE, "servers": [{}], "entries": [{}]},
    {**WHOLE, "servers": [{**SERVER, "name": 1}], "entries": [{**ENTRY, "at": "not a time"}]},
    {**WHOLE, "servers": [{**SERVER, "progress": "x"}], "entries": [{**ENTRY, "id": "x"}]},
    {**WHOLE, "states": [], "next": "x"},
]


@pytest.mark.parametrize("answer", WRONG, ids=lambda answer: json.dumps(answer)[:40])
async def test_answer_of_wrong_shape_is_not_comfywarm(tmp_path: Path, answer: object) -> None:
    async with program(json.dumps(answer).encode()) as server:
        settings = write_settings(tmp_path, listen={"port": server.port})
        for command in (["status"], ["tail", "-n", "1"], ["wanted"]):
            ended = await cli(settings, *command)
            assert ended.exit_code == 1
            assert "is not a comfywarm daemon" in ended.stderr


async def test_group_action_with_answer_of_wrong_shape_ends_without_traceback(tmp_path: Path) -> None:
    async with program(b"{}", 202) as server:
        ended = await cli(write_settings(tmp_path, listen={"port": server.port}), "pause", "--group", "g")
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("status", [200, 404])
async def test_answer_above_the_limit_is_not_read_to_its_end(status: int) -> None:
    async with program(b"{" + b" " * 3_000_000, status) as server, aiohttp.ClientSession() as session:
        api = DaemonApi(session, str(server.make_url("")), Mask([]), max_answer=1_000_000)
        with pytest.raises(DaemonUnavailableError):
            await api.get("/api/status")
