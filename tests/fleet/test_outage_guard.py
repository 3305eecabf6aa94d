"""Which servers count as a sign of an outage on the daemon's side."""

from statemachine.core.outage import OutageDetector
from statemachine.core.server import Server
from statemachine.core.vocabulary import Notice
from statemachine.fleet.reachability import OutageGuard


def silent_guard(servers: list[Server]) -> list[Notice]:
    """Return the notices after none of the servers has answered."""
    notices: list[Notice] = []
    guard = OutageGuard(OutageDetector(), notices.append, lambda: None)
    for server in servers:
        guard.observe(server, answered=False)
    return notices


async def test_guard_ignores_servers_that_never_answered_a_check() -> None:
    """Servers that are silent from the start, and first in the settings, must not hold the others up."""
    assert silent_guard([Server(f"s{number}") for number in range(10)]) == []


async def test_guard_holds_when_checked_servers_stop_answering() -> None:
    checked = [Server(f"s{number}", last_check=1.0) for number in range(10)]
    assert silent_guard(checked) == [Notice.FLEET_VANISHED]
