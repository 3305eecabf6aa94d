"""The figures of a campaign with their limits."""

from dataclasses import dataclass, field

from typing_extensions import override

from campaigns.hostile.supervisor import WATCHDOG_S

SLOWER = 2.0
HEALTHZ_S = 0.25
MEMORY_MIB = 400.0
LOG_KIB_PER_MINUTE = 512.0
STATUS_KIB_PER_SERVER = 16.0


@dataclass(frozen=True)
class Figure:
    """One figure, its limit, and whether it is within the limit."""

    name: str
    value: str
    limit: str
    good: bool

    @override
    def __str__(self) -> str:
        return f"{'ok  ' if self.good else 'FAIL'} {self.name:<42}{self.value:>14}   limit {self.limit}"


@dataclass
class Run:
    """What one run of the daemon showed. Times in seconds."""

    loaded_s: float = float("inf")
    """Until every honest server was loaded."""
    seconds: float = 0.0
    healthz_s: list[tuple[float, float]] = field(default_factory=list)
    """The time that each answer took, and the same without waits for a processor."""
    unanswered: int = 0
    peak_mib: float = 0.0
    longest_gap_s: float = 0.0
    killed: bool = False
    left_loaded: list[str] = field(default_factory=list)
    wrong_warm_ups: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    log_bytes: int = 0
    status_bytes: int = 0
    servers: int = 1
    cpu_s: float = 0.0
    hostile: dict[str, str] = field(default_factory=dict)
    """The last state of each hostile server."""


@dataclass
class Report:
    """Both runs of a campaign: with honest servers alone, and beside the hostile ones."""

    alone: Run
    beside: Run

    @property
    def good(self) -> bool:
        return all(figure.good for figure in self.figures)

    @property
    def details(self) -> list[str]:
        """What is behind the figures that count."""
        run = self.beside
        return [*run.left_loaded, *run.wrong_warm_ups, *run.leaks, *run.faults]

    @property
    def figures(self) -> list[Figure]:
        run, alone = self.beside, self.alone
        fair = max((fair for _, fair in run.healthz_s), default=float("inf"))
        log = run.log_bytes / 1024 / max(run.seconds / 60, 1.0)
        status = run.status_bytes / 1024 / run.servers
        return [
            _most("honest servers loaded, s", run.loaded_s, SLOWER * alone.loaded_s),
            _most("worst answer of /healthz, ms", fair * 1000, HEALTHZ_S * 1000),
            _none("requests to /healthz without an answer", run.unanswered),
            _most("peak memory, MiB", run.peak_mib, MEMORY_MIB),
            _most("longest pause of the watchdog, s", run.longest_gap_s, WATCHDOG_S),
            _none("daemon killed by the watchdog", int(run.killed)),
            _none("honest servers that left loaded", len(run.left_loaded)),
            _none("honest servers without exactly one warm-up", len(run.wrong_warm_ups)),
            _none("places with a secret", len(run.leaks)),
            _none("internal errors in the log", len(run.faults)),
            _most("log, KiB per minute", log, LOG_KIB_PER_MINUTE),
            _most("/api/status, KiB per server", status, STATUS_KIB_PER_SERVER),
        ]

    @property
    def notes(self) -> list[str]:
        """Figures without a limit."""
        run, alone = self.beside, self.alone
        walls, begin = sorted((wall for wall, _ in run.healthz_s), reverse=True), alone.healthz_s
        return [
            f"alone: loaded after {alone.loaded_s:.1f} s, peak memory {alone.peak_mib:.0f} MiB",
            f"alone: worst answer of /healthz {1000 * max((fair for _, fair in begin), default=0):.0f} ms",
            f"/healthz: {len(walls)} answers; the slowest with waits for a processor, ms: "
            + ", ".join(f"{1000 * wall:.0f}" for wall in walls[:5]),
            f"processor time of the daemon: {run.cpu_s:.0f} s in {run.seconds:.0f} s",
            f"/api/status: {run.status_bytes} bytes for {run.servers} servers; log: {run.log_bytes} bytes",
        ]


def _most(name: str, value: float, limit: float) -> Figure:
    return Figure(name, f"{value:.1f}", f"{limit:.1f}", value <= limit)


def _none(name: str, count: int) -> Figure:
    return Figure(name, str(count), "0", count == 0)
