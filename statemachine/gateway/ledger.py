"""The prompts of this gateway in SQLite, so that none is posted twice or forgotten after a crash.

A prompt is committed before its POST. A commit survives the death of the process at any instant, and takes about
30 µs, so it is done on the event loop.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from statemachine.gateway.json_text import dumps, loads
from statemachine.gateway.records import PromptRecord, Stage
from statemachine.journal.private import private_file

LEDGER_FILE = "gateway.db"
MAX_ENDED = 10_000
"""Ended prompts that are kept, as many as ComfyUI keeps in its history."""
PRUNE_EVERY = 500

_SCHEMA = """
CREATE TABLE IF NOT EXISTS prompts (
    prompt_id TEXT PRIMARY KEY, client TEXT NOT NULL, client_id TEXT, server TEXT NOT NULL, digest TEXT NOT NULL,
    at REAL NOT NULL, node TEXT NOT NULL, stage TEXT NOT NULL, number REAL NOT NULL, error TEXT NOT NULL,
    outputs TEXT NOT NULL, end_frame TEXT NOT NULL, is_deleted INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS identity (link_id TEXT NOT NULL) STRICT;
"""
_PUT = "INSERT OR REPLACE INTO prompts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class Ledger:
    """All prompts that are open, and the newest of those that have ended.

    `link_id` is the client id of this gateway's /ws connections to the servers. It stays the same, so that a gateway
    that was restarted receives the frames of the prompts from before.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / LEDGER_FILE
        private_file(path)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        self.link_id = self._identity()
        rows = self._db.execute("SELECT * FROM prompts ORDER BY at")
        self._records = {record.prompt_id: record for record in map(_record, rows)}
        self._open = {one.prompt_id: one for one in self._records.values() if one.stage is not Stage.ENDED}
        self._until_prune = PRUNE_EVERY

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def get(self, prompt_id: str) -> PromptRecord | None:
        """Return a prompt, None if it is unknown."""
        return self._records.get(prompt_id)

    def put(self, record: PromptRecord) -> None:
        """Commit a new or changed prompt."""
        self._db.execute(_PUT, _row(record))
        self._records[record.prompt_id] = record
        if record.stage is Stage.ENDED:
            self._open.pop(record.prompt_id, None)
        else:
            self._open[record.prompt_id] = record
        self._until_prune -= 1
        if self._until_prune <= 0:
            self._prune()

    def forget(self, record: PromptRecord) -> None:
        """Remove a prompt that no server has accepted, or whose client deleted it from its history."""
        self._db.execute("DELETE FROM prompts WHERE prompt_id = ?", (record.prompt_id,))
        self._records.pop(record.prompt_id, None)
        self._open.pop(record.prompt_id, None)

    def rename(self, record: PromptRecord, prompt_id: str) -> None:
        """Use the id that an older server has chosen itself."""
        self._db.execute(
            "UPDATE OR REPLACE prompts SET prompt_id = ? WHERE prompt_id = ?", (prompt_id, record.prompt_id)
        )
        self._records.pop(record.prompt_id, None)
        self._open.pop(record.prompt_id, None)
        record.prompt_id = prompt_id
        self.put(record)

    def of_client(self, client: str) -> Iterator[PromptRecord]:
        """Yield the prompts of a client, newest first."""
        return (one for one in reversed(self._records.values()) if one.client == client)

    def open_of(self, client: str) -> list[PromptRecord]:
        """Return the open prompts of a client, oldest first."""
        return [one for one in self._open.values() if one.client == client]

    def open_on(self, server: str) -> list[PromptRecord]:
        """Return the open prompts of a server, oldest first."""
        return [one for one in self._open.values() if one.server == server]

    def open_count(self, stage: Stage) -> int:
        """Return how many open prompts are at this stage."""
        return sum(one.stage is stage for one in self._open.values())

    def open_servers(self) -> set[str]:
        """Return the servers that have open prompts."""
        return {one.server for one in self._open.values()}

    def _prune(self) -> None:
        self._until_prune = PRUNE_EVERY
        ended = [one for one in self._records.values() if one.stage is Stage.ENDED]
        for record in ended[: max(len(ended) - MAX_ENDED, 0)]:
            self.forget(record)

    def _identity(self) -> str:
        found = self._db.execute("SELECT link_id FROM identity").fetchone()
        if found is None:
            found = (str(uuid4()),)
            self._db.execute("INSERT INTO identity VALUES (?)", found)
        return str(found[0])


def _row(record: PromptRecord) -> tuple[object, ...]:
    return (
        record.prompt_id,
        record.client,
        record.client_id,
        record.server,
        record.digest,
        record.at,
        dumps(record.node).decode(),
        record.stage.value,
        record.number,
        record.error,
        dumps(record.outputs).decode(),
        dumps(record.end).decode(),
        int(record.is_deleted),
    )


def _record(row: tuple[str, ...]) -> PromptRecord:
    prompt_id, client, client_id, server, digest, at, node, stage, number, error, outputs, end, deleted = row
    node_id, class_type = loads(node.encode())
    return PromptRecord(
        prompt_id,
        client,
        client_id,
        server,
        digest,
        float(at),
        (node_id, class_type),
        Stage(stage),
        float(number),
        error,
        loads(outputs.encode()),
        loads(end.encode()),
        bool(deleted),
    )
