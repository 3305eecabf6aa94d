"""`tail -f --json` as a process across SIGKILLs of the daemon, with and without filters."""

import asyncio
import json
import sqlite3
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from campaigns.kill.campaign import settings_for
from campaigns.kill.churn import churn
from campaigns.kill.moments import Moments
from campaigns.kill.process import DaemonProcess
from campaigns.kill.servers import watched_servers
from tests.support.polling import wait_until

KILLS = 2
LONGEST_RUN_S = 1.0
CATCH_UP_S = 45.0
FILTERS = {
    "": [],
    "server IN ('evicting', 'busy') AND dest IN ('checking', 'cold')": [
        *("--server", "evicting", "--server", "busy"),
        *("--state", "checking", "--state", "cold"),
    ],
}
"""SQL condition → options of `tail`."""


class Follower:
    """A running `tail -f` and the numbers that it printed."""

    def __init__(self, process: Process, condition: str) -> None:
        self.condition = condition
        self.numbers: list[int] = []
        self._process = process
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.numbers.append(json.loads(line)["id"])

    async def until(self, number: int) -> None:
        """Wait for this number or a higher one. Raises TimeoutError."""
        await wait_until(lambda: self.numbers and self.numbers[-1] >= number, CATCH_UP_S)

    async def end(self) -> None:
        self._process.terminate()
        await self._process.wait()
        await self._reading


@asynccontextmanager
async def followers(daemon: DaemonProcess, file_only: DaemonProcess) -> AsyncIterator[list[Follower]]:
    """Start one follower per filter at the daemon's stream, and one at the journal file."""
    running = [Follower(await daemon.tail("-f", "--since", "1d", *options), sql) for sql, options in FILTERS.items()]
    running.append(Follower(await file_only.tail("-f", "--since", "1d"), ""))
    try:
        yield running
    finally:
        await asyncio.gather(*(follower.end() for follower in running))


def recorded(journal: Path, condition: str) -> list[int]:
    """Return the numbers of the entries in the journal file that match the condition."""
    with sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True) as db:
        rows = db.execute(f"SELECT seq FROM log WHERE {condition or 'TRUE'} ORDER BY seq").fetchall()
    db.close()
    return [row[0] for row in rows]


async def kill_repeatedly(daemon: DaemonProcess, rng: Random) -> None:
    """Kill and restart the running daemon; the last run continues."""
    for _ in range(KILLS):
        await asyncio.sleep(rng.uniform(0.5, 1.0) * LONGEST_RUN_S)
        daemon.kill()
        await daemon.wait_ended()
        await daemon.start()
        await daemon.until_answering()


@pytest.mark.campaign
@pytest.mark.timeout(120)
async def test_tail_across_kills_prints_each_matching_entry_once(tmp_path: Path) -> None:
    rng = Random(11)
    async with watched_servers(11, Moments()) as servers:
        settings = settings_for({name: url for name, (_, url) in servers.items()})
        daemon = DaemonProcess(tmp_path, settings)
        file_only = tmp_path / "file_only"
        file_only.mkdir()
        elsewhere: dict[str, Any] = {**settings, "data_dir": str(tmp_path / "data"), "listen": {"port": 0}}
        await daemon.start()
        await daemon.until_answering()
        actions = asyncio.create_task(churn([server for server, _ in servers.values()], rng))  # noqa: RUF006 - cancelled below
        try:
            async with followers(daemon, DaemonProcess(file_only, elsewhere)) as running:
                await wait_until(lambda: all(one.numbers for one in running), CATCH_UP_S)
                begun = {one.condition: len(one.numbers) for one in running}
                await kill_repeatedly(daemon, rng)
                await asyncio.sleep(LONGEST_RUN_S)
                actions.cancel()
                expected = {one.condition: recorded(daemon.journal_file, one.condition) for one in running}
                await asyncio.gather(*(one.until(expected[one.condition][-1]) for one in running))
        finally:
            actions.cancel()
            await daemon.end()
    for one in running:
        wanted = recorded(daemon.journal_file, one.condition)
        assert one.numbers == wanted[: len(one.numbers)], one.condition
        assert len(one.numbers) > begun[one.condition]
