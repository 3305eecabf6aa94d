"""What came of a campaign, judged by the servers' own books and by the journal's file."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from campaigns.kill.process import DaemonProcess
from campaigns.kill.readers import Reading, Records
from campaigns.kill.servers import WatchedServer

OPEN = ("recorded", "accepted")
DIAGNOSED = {"raising": "prompt_failed"}
"""Servers that cannot be warmed, and what must be said of them."""


@dataclass
class Report:
    """What came of a campaign. `violations` is empty where no rule was broken."""

    kills: Counter[str] = field(default_factory=Counter)
    warm_ups: dict[str, int] = field(default_factory=dict)
    duplicates: list[str] = field(default_factory=list)
    own_together: list[str] = field(default_factory=list)
    unwritten: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    left_cold: list[str] = field(default_factory=list)
    log_faults: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    taken_from_the_dead: int = 0
    entries: int = 0
    read: dict[str, int] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    recovery_s: float = 0.0
    duration_s: float = 0.0

    @property
    def violations(self) -> list[str]:
        return [
            *self.duplicates,
            *self.own_together,
            *self.unwritten,
            *self.unsettled,
            *self.left_cold,
            *self.log_faults,
            *self.faults,
        ]


def trouble(server: WatchedServer, told: dict[str, object]) -> str | None:
    """What is wrong with a server after the last restart, None where nothing is."""
    says = f"{server.name} is {told['state']} ({told['reason']}): {told['message']}"
    if server.name in DIAGNOSED:
        well = told["state"] == "failed" and told["reason"] == DIAGNOSED[server.name]
    else:
        well = told["state"] == "loaded" and server.warm
    return None if well else says


def check(daemon: DaemonProcess, servers: Sequence[WatchedServer], streams: Sequence[Reading], report: Report) -> None:
    records = Records(daemon.journal_file)
    for server in servers:
        report.warm_ups[server.name] = len(server.accepted)
        report.duplicates += server.together + [
            f"{server.name}: {one} was submitted twice" for one in server.sent_twice
        ]
        report.unwritten += [f"{one} is not in the journal" for one in server.accepted if one not in records.attempts]
        report.taken_from_the_dead += server.taken_from_the_dead
        if server.most_own_together > 1:
            report.own_together.append(f"{server.name}: {server.most_own_together} of its own workflows at once")
    report.unsettled = [
        f"{name}: {prompt_id} was never settled: {outcome}"
        for prompt_id, (name, outcome) in records.attempts.items()
        if outcome in OPEN and name not in DIAGNOSED
    ]
    report.outcomes = Counter(outcome for _, outcome in records.attempts.values())
    report.entries = len(records.log)
    report.read = {reading.name: len(reading.told) for reading in streams}
    report.log_faults = records.gaps() + [wrong for reading in streams for wrong in records.complaints(reading)]
    report.faults = [f"the daemon's log: {line}" for line in daemon.faults()]
    if not all(report.read.values()):
        report.faults.append(f"a reader read nothing: {report.read}")
