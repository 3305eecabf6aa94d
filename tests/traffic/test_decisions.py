"""Counts of decisions, and the reports of gateways."""

from statemachine.routing.decision import Explanation, Origin, Why
from statemachine.traffic.decisions import HOURS, MAX_GATEWAYS, NEWEST, DecisionLog, GatewayReports

WARM = Explanation("a", Why.WARM, False, 0.0)
COLD = Explanation("b", Why.LOADS, True, 20.0)
UNKNOWN = Explanation("a", Why.SHORTEST_WAIT, None, 3.0)
HOUR = 3600.0


class Rig:
    """A log at a time that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000 * HOUR + 60
        self.log = DecisionLog(lambda: self.now)

    def note(self, *explanations: Explanation, age_s: float = 0.0) -> None:
        for one in explanations:
            self.log.note(Origin.ROUTE, one, age_s)


def test_log_counts_by_reason_server_and_hour() -> None:
    rig = Rig()
    rig.note(WARM, COLD, UNKNOWN)
    rig.note(COLD, age_s=HOUR)
    assert dict(rig.log.fleet().reasons) == {Why.WARM: 1, Why.LOADS: 2, Why.SHORTEST_WAIT: 1}
    assert {name: (one.total, one.known, one.cold) for name, one in rig.log.servers().items()} == {
        "a": (2, 1, 0),
        "b": (2, 2, 2),
    }
    *_, before, last = rig.log.trend()
    assert (before[0], before[1].cold_share) == (999 * HOUR, 1.0)
    assert (last[0], last[1].cold_share, last[1].total) == (1_000 * HOUR, 0.5, 3)


def test_log_without_known_models_has_no_cold_share() -> None:
    rig = Rig()
    assert rig.log.fleet().cold_share is None
    rig.note(UNKNOWN)
    assert (rig.log.fleet().total, rig.log.fleet().cold_share) == (1, None)


def test_log_forgets_what_is_older_than_its_hours() -> None:
    rig = Rig()
    rig.note(WARM)
    rig.now += HOUR
    rig.note(COLD)
    rig.now += (HOURS - 1) * HOUR
    assert (rig.log.fleet().total, list(rig.log.servers())) == (1, ["b"])
    rig.now += HOUR
    assert (rig.log.fleet().total, dict(rig.log.servers())) == (0, {})
    rig.note(WARM, age_s=HOURS * HOUR)
    assert rig.log.fleet().total == 0
    assert [tally.total for _, tally in rig.log.trend()] == [0] * HOURS


def test_log_since_is_the_start_or_the_oldest_that_counts() -> None:
    rig = Rig()
    assert rig.log.since == rig.now
    rig.note(WARM, age_s=2 * HOUR)
    assert rig.log.since == rig.now - 2 * HOUR, "a gateway has reported what is older"
    rig.now += 2 * HOURS * HOUR
    assert rig.log.since == rig.log.trend()[0][0]


def test_log_keeps_the_newest_in_the_order_of_their_time() -> None:
    rig = Rig()
    rig.note(COLD)
    rig.note(UNKNOWN, age_s=30)
    rig.note(*[WARM] * 2 * NEWEST, age_s=60)
    newest = rig.log.newest()
    assert len(newest) == NEWEST
    assert [one.explanation for one in newest[:3]] == [COLD, UNKNOWN, WARM]


def test_reports_count_each_decision_once() -> None:
    reports = GatewayReports()
    assert reports.accept("g", 0, 0, 3) == (0, 3)
    assert reports.accept("g", 0, 0, 3) == (3, 3), "the answer was lost"
    assert reports.accept("g", 0, 2, 3) == (1, 5)
    assert reports.accept("other", 0, 0, 1) == (0, 1)


def test_reports_ask_for_what_a_restarted_daemon_lacks() -> None:
    reports = GatewayReports()
    assert reports.accept("g", 40, 90, 2) == (2, 40)
    assert reports.accept("g", 40, 40, 10) == (0, 50)
    assert reports.accept("g", 60, 60, 0) == (0, 60), "the gateway has dropped ten"


def test_reports_remember_a_bounded_number_of_gateways() -> None:
    reports = GatewayReports()
    for number in range(3 * MAX_GATEWAYS):
        reports.accept(str(number), 0, 0, 1)
    assert len(reports) == MAX_GATEWAYS
