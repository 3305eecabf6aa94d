"""Readers of the event log that continue across kills and keep every entry."""

import asyncio
import json
import sqlite3
from asyncio.subprocess import Process
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp

Entry = tuple[Any, ...]
PAUSE_S = 0.05
FIELDS = ("event", "server", "group", "from", "to", "reason", "proved_by", "prompt_id", "message")
COLUMNS = "kind, server, grp, source, dest, reason, witness, prompt_id, message"
LINE_LIMIT = 2**20


class ReaderLog:
    """The entries that one reader received. `problems` lists gaps, repeats and wrong starts."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.entries: dict[int, Entry] = {}
        self.last: int | None = None
        self.problems: list[str] = []

    def add(self, data: dict[str, Any]) -> None:
        """Add one entry in its JSON form."""
        number = data["id"]
        if self.last is not None and number != self.last + 1:
            self.problems.append(f"{self.name}: event {number} came after {self.last}")
        self.entries[number] = tuple(data[field] for field in FIELDS)
        self.last = number


async def read_stream(address: str, reading: ReaderLog) -> None:
    """Read GET /api/events from the last received number, across restarts, until cancelled."""
    timeout = aiohttp.ClientTimeout(total=None, connect=2)
    async with aiohttp.ClientSession(timeout=timeout, read_bufsize=LINE_LIMIT) as session:
        while True:
            headers = {"Last-Event-ID": str(reading.last or 0)}
            with suppress(aiohttp.ClientError, ConnectionError, TimeoutError):
                async with session.get(f"{address}/api/events", headers=headers) as response:
                    await _listen(response, reading)
            await asyncio.sleep(PAUSE_S)


async def _listen(response: aiohttp.ClientResponse, reading: ReaderLog) -> None:
    """Read one stream to its end. It must open with the last received number."""
    opened = numbered = False
    async for line in response.content:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name == "id":
            numbered = True
            if not opened and int(value) != (reading.last or 0):
                reading.problems.append(f"{reading.name}: opened at {value}, requested {reading.last}")
            opened = True
        elif name == "data" and numbered:
            reading.add(json.loads(value))
        elif not name:
            numbered = False


async def read_tail(process: Process, reading: ReaderLog) -> None:
    """Read `tail --json` to its end."""
    assert process.stdout is not None
    async for line in process.stdout:
        reading.add(json.loads(line))


class Records:
    """The journal file, read with independent SQL while no daemon writes it."""

    def __init__(self, path: Path) -> None:
        with sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True) as db:
            rows = db.execute(f"SELECT seq, {COLUMNS} FROM log ORDER BY seq").fetchall()
            attempts = db.execute("SELECT prompt_id, server, outcome FROM attempts").fetchall()
        db.close()
        self.log: dict[int, Entry] = {row[0]: tuple(row[1:]) for row in rows}
        self.attempts: dict[str, tuple[str, str]] = {row[0]: (row[1], row[2]) for row in attempts}

    def problems(self, reading: ReaderLog) -> list[str]:
        """Return the reader's problems and its differences from the journal."""
        wrong = [number for number, entry in reading.entries.items() if self.log.get(number) != entry]
        return reading.problems + [
            f"{reading.name}: event {number} is {reading.entries[number]}, the journal has {self.log.get(number)}"
            for number in wrong
        ]

    def gaps(self) -> list[str]:
        """Return the missing numbers from 1 to the last."""
        return [
            f"the journal has no event {number}"
            for number in range(1, max(self.log, default=0))
            if number not in self.log
        ]
