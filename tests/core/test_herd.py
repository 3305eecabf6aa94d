"""The brake: it holds verdicts when most of the fleet is silent, for a bounded time, and not twice for one outage."""

from hypothesis import given
from hypothesis import strategies as st

from statemachine.core.outage import OutageChange, OutageDetector

SERVERS = [f"s{number}" for number in range(10)]


def observed(brake: OutageDetector, at: float, silent: int, of: int = 10) -> list[OutageChange]:
    """What it did while `of` servers were asked in turn, the first `silent` of which did not answer."""
    changes = [brake.observe(server, at, answered=number >= silent) for number, server in enumerate(SERVERS[:of])]
    return [one for one in changes if one is not None]


def test_it_engages_once_most_of_the_fleet_is_silent() -> None:
    brake = OutageDetector()
    assert observed(brake, 0, silent=0) == []
    assert observed(brake, 5, silent=6) == []
    assert observed(brake, 10, silent=7) == [OutageChange.ENGAGED]
    assert brake.engaged


def test_a_small_fleet_has_no_brake() -> None:
    assert observed(OutageDetector(), 0, silent=4, of=4) == []


def test_it_releases_once_most_answer_again() -> None:
    brake = OutageDetector()
    observed(brake, 0, silent=10)
    assert observed(brake, 5, silent=5) == []
    assert observed(brake, 10, silent=3) == [OutageChange.RELEASED]
    assert not brake.engaged


def test_a_hold_is_bounded_and_not_repeated_before_the_fleet_was_seen_answering() -> None:
    brake = OutageDetector(hold_s=60)
    observed(brake, 0, silent=10)
    changes = [change for at in range(10, 300, 10) for change in observed(brake, at, silent=10)]
    assert changes == [OutageChange.RELEASED]
    observed(brake, 310, silent=0)
    assert observed(brake, 320, silent=10) == [OutageChange.ENGAGED]


def test_what_was_seen_long_ago_does_not_count() -> None:
    brake = OutageDetector(window_s=20)
    observed(brake, 0, silent=4)
    assert observed(brake, 30, silent=4, of=4) == []


def test_a_server_counts_once_however_often_it_is_asked() -> None:
    brake = OutageDetector()
    observed(brake, 0, silent=0)
    assert [brake.observe("s0", 1, answered=False) for _ in range(50)] == [None] * 50


STEPS = st.lists(st.tuples(st.sampled_from(SERVERS), st.floats(0, 30), st.booleans()), max_size=80)


@given(STEPS)
def test_engaging_and_releasing_take_turns(steps: list[tuple[str, float, bool]]) -> None:
    brake, now, changes = OutageDetector(least=2, hold_s=40), 0.0, list[OutageChange]()
    for server, later, answered in steps:
        now += later
        change = brake.observe(server, now, answered=answered)
        changes += [change] if change else []
        assert brake.engaged is (len(changes) % 2 == 1)
    assert changes == [(OutageChange.ENGAGED, OutageChange.RELEASED)[turn % 2] for turn in range(len(changes))]
