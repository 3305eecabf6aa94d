"""Everything that the daemon has written or answers, for the search for secrets."""

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

import aiohttp

from campaigns.kill.process import DaemonProcess

ROUTES = ("/status", "/api/status", "/api/detailed_status", "/api/log?limit=1000", "/api/stats", "/metrics", "/readyz")


async def outputs(session: aiohttp.ClientSession, daemon: DaemonProcess, servers: Collection[str]) -> dict[str, bytes]:
    """Return the answers of the routes and the content of every file but the settings, by place."""
    found: dict[str, bytes] = {}
    for path in (*ROUTES, *(f"/api/servers/{name}" for name in servers)):
        async with session.get(daemon.address + path) as response:
            found[path] = await response.read()
    for file in daemon.folder.rglob("*"):
        if file.is_file() and file != daemon.settings_file and file.name not in ("hostile.log", "poller.log"):
            found[file.name] = file.read_bytes()
    return found


def left_loaded(journal: Path, servers: Collection[str]) -> list[str]:
    """Return each transition of these servers out of `loaded`."""
    with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT server, dest, reason, message FROM log WHERE source = 'loaded' ORDER BY seq")
        return [f"{server}: {dest}/{reason} {text}" for server, dest, reason, text in rows if server in servers]
