"""The daemon's lives: which entries belong to one run of it, and until when it certainly ran.

The event log alone cannot say that: a fleet that stays loaded writes nothing for days, and a killed daemon writes
nothing more. Without this, the time in which no daemon ran would look like the state that came last.
"""

from dataclasses import dataclass

INSERT_LIFE = "INSERT OR IGNORE INTO lives VALUES (?, 0)"
BEAT = "INSERT INTO lives VALUES (?, ?) ON CONFLICT (after_seq) DO UPDATE SET seen_at = excluded.seen_at"

PRUNE_LIVES = "DELETE FROM lives WHERE after_seq < (SELECT max(after_seq) FROM lives WHERE seen_at > 0 AND seen_at < ?)"


@dataclass(frozen=True, slots=True)
class Life:
    """One run of the daemon: its entries have numbers above `after_seq`, up to the next life's.

    `seen_at` (epoch seconds) is its last sign of life, 0 where it ended before the first; its entries may be later.
    """

    after_seq: int
    seen_at: float
