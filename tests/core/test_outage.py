"""The outage detector: it engages when most servers are silent, for a bounded time."""

from hypothesis import given
from hypothesis import strategies as st

from statemachine.core.outage import OutageChange, OutageDetector

SERVERS = [f"s{number}" for number in range(10)]


def observe_all(detector: OutageDetector, at: float, silent: int, of: int = 10) -> list[OutageChange]:
    """Observe `of` servers, of which the first `silent` do not answer; return the changes."""
    changes = [detector.observe(server, at, answered=number >= silent) for number, server in enumerate(SERVERS[:of])]
    return [one for one in changes if one is not None]


def test_detector_engages_when_most_servers_are_silent() -> None:
    detector = OutageDetector()
    assert observe_all(detector, 0, silent=0) == []
    assert observe_all(detector, 5, silent=6) == []
    assert observe_all(detector, 10, silent=7) == [OutageChange.ENGAGED]
    assert detector.engaged


def test_detector_with_few_servers_never_engages() -> None:
    assert observe_all(OutageDetector(), 0, silent=4, of=4) == []


def test_detector_releases_when_most_servers_answer() -> None:
    detector = OutageDetector()
    observe_all(detector, 0, silent=10)
    assert observe_all(detector, 5, silent=5) == []
    assert observe_all(detector, 10, silent=3) == [OutageChange.RELEASED]
    assert not detector.engaged


def test_hold_is_bounded_and_not_repeated_in_same_outage() -> None:
    detector = OutageDetector(hold_s=60)
    observe_all(detector, 0, silent=10)
    changes = [change for at in range(10, 300, 10) for change in observe_all(detector, at, silent=10)]
    assert changes == [OutageChange.RELEASED]
    observe_all(detector, 310, silent=0)
    assert observe_all(detector, 320, silent=10) == [OutageChange.ENGAGED]


def test_observations_outside_window_are_ignored() -> None:
    detector = OutageDetector(window_s=20)
    observe_all(detector, 0, silent=4)
    assert observe_all(detector, 30, silent=4, of=4) == []


def test_server_observed_repeatedly_counts_once() -> None:
    detector = OutageDetector()
    observe_all(detector, 0, silent=0)
    assert [detector.observe("s0", 1, answered=False) for _ in range(50)] == [None] * 50


STEPS = st.lists(st.tuples(st.sampled_from(SERVERS), st.floats(0, 30), st.booleans()), max_size=80)


@given(STEPS)
def test_detector_engages_and_releases_alternately(steps: list[tuple[str, float, bool]]) -> None:
    detector, now, changes = OutageDetector(least=2, hold_s=40), 0.0, list[OutageChange]()
    for server, later, answered in steps:
        now += later
        change = detector.observe(server, now, answered=answered)
        changes += [change] if change else []
        assert detector.engaged is (len(changes) % 2 == 1)
    assert changes == [(OutageChange.ENGAGED, OutageChange.RELEASED)[turn % 2] for turn in range(len(changes))]
