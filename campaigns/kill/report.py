"""The report of a campaign, from the servers' own records and the journal file."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from campaigns.kill.process import DaemonProcess
from campaigns.kill.readers import ReaderLog, Records
from campaigns.kill.servers import WatchedServer

OPEN = ("recorded", "accepted")
DIAGNOSED = {"raising": "prompt_failed"}
"""Servers that cannot be warmed, and the reason that the daemon must report."""


@dataclass
class Report:
    """The figures and violations of a campaign."""

    kills: Counter[str] = field(default_factory=Counter)
    warm_ups: dict[str, int] = field(default_factory=dict)
    duplicates: list[str] = field(default_factory=list)
    own_at_once: list[str] = field(default_factory=list)
    unwritten: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    not_recovered: list[str] = field(default_factory=list)
    log_faults: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    accepted_after_death: int = 0
    entries: int = 0
    read: dict[str, int] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    recovery_s: float = 0.0
    duration_s: float = 0.0

    @property
    def violations(self) -> list[str]:
        return [
            *self.duplicates,
            *self.own_at_once,
            *self.unwritten,
            *self.unsettled,
            *self.not_recovered,
            *self.log_faults,
            *self.faults,
        ]


def server_problem(server: WatchedServer, status: dict[str, object]) -> str | None:
    """Return what is wrong with a server's status after the last restart, or None."""
    described = f"{server.name} is {status['state']} ({status['reason']}): {status['message']}"
    if server.name in DIAGNOSED:
        good = status["state"] == "failed" and status["reason"] == DIAGNOSED[server.name]
    else:
        good = status["state"] == "loaded" and server.warm
    return None if good else described


def check(
    daemon: DaemonProcess, servers: Sequence[WatchedServer], streams: Sequence[ReaderLog], report: Report
) -> None:
    """Fill the report after the last run."""
    records = Records(daemon.journal_file)
    for server in servers:
        report.warm_ups[server.name] = len(server.accepted)
        report.duplicates += server.duplicates + [
            f"{server.name}: {one} was submitted twice" for one in server.repeated_prompts
        ]
        report.unwritten += [f"{one} is not in the journal" for one in server.accepted if one not in records.attempts]
        report.accepted_after_death += server.accepted_after_death
        if server.most_own_at_once > 1:
            report.own_at_once.append(f"{server.name}: {server.most_own_at_once} own workflows at once")
    report.unsettled = [
        f"{name}: {prompt_id} has no outcome: {outcome}"
        for prompt_id, (name, outcome) in records.attempts.items()
        if outcome in OPEN and name not in DIAGNOSED
    ]
    report.outcomes = Counter(outcome for _, outcome in records.attempts.values())
    report.entries = len(records.log)
    report.read = {reading.name: len(reading.entries) for reading in streams}
    report.log_faults = records.gaps() + [problem for reading in streams for problem in records.problems(reading)]
    report.faults = [f"the daemon's log: {line}" for line in daemon.faults()]
    if not all(report.read.values()):
        report.faults.append(f"a reader received no event: {report.read}")
