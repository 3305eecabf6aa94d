"""Readers of the event log that live through every kill, and hold on to all that they were told."""

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


class Reading:
    """What one reader was told: number → entry. `complaints` are gaps, repeats and numbers given twice."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.told: dict[int, Entry] = {}
        self.last: int | None = None
        self.complaints: list[str] = []

    def hear(self, data: dict[str, Any]) -> None:
        """One entry, as JSON."""
        number = data["id"]
        if self.last is not None and number != self.last + 1:
            self.complaints.append(f"{self.name}: event {number} came after {self.last}")
        self.told[number] = tuple(data[field] for field in FIELDS)
        self.last = number


async def read_stream(address: str, reading: Reading) -> None:
    """Read GET /api/events with the last number heard, from one life of the daemon to the next, until cancelled."""
    timeout = aiohttp.ClientTimeout(total=None, connect=2)
    async with aiohttp.ClientSession(timeout=timeout, read_bufsize=LINE_LIMIT) as session:
        while True:
            headers = {"Last-Event-ID": str(reading.last or 0)}
            with suppress(aiohttp.ClientError, ConnectionError, TimeoutError):
                async with session.get(f"{address}/api/events", headers=headers) as response:
                    await _listen(response, reading)
            await asyncio.sleep(PAUSE_S)


async def _listen(response: aiohttp.ClientResponse, reading: Reading) -> None:
    """Until the daemon is gone. The stream opens with the number that it goes on from: ours, or it has lost some."""
    opened = numbered = False
    async for line in response.content:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name == "id":
            numbered = True
            if not opened and int(value) != (reading.last or 0):
                reading.complaints.append(f"{reading.name}: opened at {value}, asked for {reading.last}")
            opened = True
        elif name == "data" and numbered:
            reading.hear(json.loads(value))
        elif not name:
            numbered = False


async def read_tail(process: Process, reading: Reading) -> None:
    """Read `tail --json` to its end."""
    assert process.stdout is not None
    async for line in process.stdout:
        reading.hear(json.loads(line))


class Records:
    """The journal's file, read with SQL of the test's own, when no daemon writes it."""

    def __init__(self, path: Path) -> None:
        with sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True) as db:
            rows = db.execute(f"SELECT seq, {COLUMNS} FROM log ORDER BY seq").fetchall()
            attempts = db.execute("SELECT prompt_id, server, outcome FROM attempts").fetchall()
        db.close()
        self.log: dict[int, Entry] = {row[0]: tuple(row[1:]) for row in rows}
        self.attempts: dict[str, tuple[str, str]] = {row[0]: (row[1], row[2]) for row in attempts}

    def complaints(self, reading: Reading) -> list[str]:
        """Where a reader was told something else than what stands here."""
        wrong = [number for number, entry in reading.told.items() if self.log.get(number) != entry]
        return reading.complaints + [
            f"{reading.name}: event {number} was told as {reading.told[number]}, the journal has {self.log.get(number)}"
            for number in wrong
        ]

    def gaps(self) -> list[str]:
        """Numbers from 1 to the last that are not in the log."""
        return [
            f"the journal has no event {number}"
            for number in range(1, max(self.log, default=0))
            if number not in self.log
        ]
