"""The journal's tables, and the migration of older files."""

import sqlite3

from statemachine.core.messages import message
from statemachine.i18n.render import MessageError

# Tables and columns keep their first names (witness, lives, told_alerts), so that older files stay readable.
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE log (
        seq       INTEGER PRIMARY KEY AUTOINCREMENT,
        at        REAL NOT NULL,
        kind      TEXT NOT NULL,
        server    TEXT,
        grp       TEXT,
        source    TEXT,
        dest      TEXT,
        reason    TEXT NOT NULL,
        witness   TEXT,
        prompt_id TEXT,
        message   TEXT NOT NULL
    );
    CREATE INDEX log_by_server ON log (server, seq);
    CREATE TABLE attempts (
        prompt_id        TEXT PRIMARY KEY,
        server           TEXT NOT NULL,
        workflow         TEXT NOT NULL,
        created_at       REAL NOT NULL,
        client_id        TEXT,
        server_prompt_id TEXT NOT NULL,
        outcome          TEXT NOT NULL,
        accepted_at      REAL,
        ended_at         REAL,
        confirmed_by     TEXT,
        varied_tag       INTEGER NOT NULL,
        message          TEXT NOT NULL
    );
    CREATE INDEX attempts_by_server ON attempts (server, created_at);
    CREATE INDEX attempts_open ON attempts (outcome) WHERE outcome IN ('recorded', 'accepted');
    """,
    """
    CREATE TABLE lives (
        after_seq INTEGER PRIMARY KEY,
        seen_at   REAL NOT NULL
    );
    """,
    """
    CREATE TABLE told_alerts (
        rule     TEXT NOT NULL,
        subject  TEXT NOT NULL,
        incident TEXT NOT NULL,
        since    REAL NOT NULL,
        state    TEXT,
        reason   TEXT NOT NULL,
        grp      TEXT,
        url      TEXT NOT NULL,
        message  TEXT NOT NULL,
        PRIMARY KEY (rule, subject)
    );
    """,
    """
    ALTER TABLE attempts ADD COLUMN instance TEXT;
    """,
    """
    ALTER TABLE log ADD COLUMN message_code TEXT;
    ALTER TABLE log ADD COLUMN message_params TEXT;
    ALTER TABLE attempts ADD COLUMN message_code TEXT;
    ALTER TABLE attempts ADD COLUMN message_params TEXT;
    ALTER TABLE told_alerts ADD COLUMN message_code TEXT;
    ALTER TABLE told_alerts ADD COLUMN message_params TEXT;
    """,
    """
    CREATE TABLE streaks (
        server TEXT PRIMARY KEY,
        reason TEXT,
        count  INTEGER NOT NULL
    );
    INSERT INTO streaks
        SELECT server, reason, CASE
            WHEN reason IN ('warm_up_ends_server', 'prompt_lost', 'prompt_interrupted') THEN 3 ELSE 1 END
        FROM log WHERE dest = 'failed' AND seq IN (
            SELECT max(seq) FROM log
            WHERE dest IN ('failed', 'loaded') OR reason IN ('warm_requested', 'settings_changed')
            GROUP BY server
        );
    """,
    """
    CREATE TABLE pauses (
        server       TEXT PRIMARY KEY,
        until        REAL,
        note         TEXT NOT NULL,
        requested_by TEXT
    );
    """,
    """
    CREATE TABLE restarts (
        server          TEXT PRIMARY KEY,
        id              TEXT NOT NULL,
        cause           TEXT NOT NULL,
        requested_at    REAL NOT NULL,
        requested_by    TEXT,
        stage           TEXT NOT NULL,
        instance        TEXT,
        mark            TEXT,
        hook_started_at REAL,
        returned_at     REAL,
        ended_at        REAL,
        reason          TEXT,
        message         TEXT NOT NULL,
        message_code    TEXT,
        message_params  TEXT,
        hooks           TEXT NOT NULL
    );
    """,
    """
    CREATE TABLE rollouts (
        id         TEXT PRIMARY KEY,
        started_at REAL NOT NULL,
        document   TEXT NOT NULL
    );
    """,
    "ALTER TABLE restarts ADD COLUMN drains_timed_out INTEGER NOT NULL DEFAULT 0;",
)
"""One script for each version. `PRAGMA user_version` counts those applied. Never change a script, only add one."""


class SchemaTooNewError(MessageError):
    """The file was written by a newer version of comfywarm."""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file to the newest version. Raise SchemaTooNewError if it is newer than this code."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise SchemaTooNewError(message("journal_too_new", found=version, known=len(MIGRATIONS)))
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")
