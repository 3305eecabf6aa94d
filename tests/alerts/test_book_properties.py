"""Whatever happens to a fleet: nothing is told twice, only what was told recovers, and nothing lasting is lost."""

from hypothesis import given, settings
from hypothesis import strategies as st

from statemachine.alerts.alert import Kind
from statemachine.core.vocabulary import Notice, State
from tests.alerts.samples import Desk, rule

SERVERS = ("a:1", "a:2", "b:1", "c:1")
STATES = (State.LOADED, State.COLD, State.WARMING, State.FAILED, State.UNREACHABLE, State.PAUSED)
FOR_S, GATHER_S = 60, 10
RULES = (
    rule("bad", states=["failed", "unreachable"], for_s=FOR_S),
    rule("any", for_s=FOR_S * 3),
    rule("net", notices=["fleet_vanished"]),
)

changes = st.tuples(st.sampled_from(SERVERS), st.sampled_from(STATES))
notices = st.sampled_from([Notice.FLEET_VANISHED, Notice.FLEET_BACK])
steps = st.lists(st.tuples(changes | notices, st.integers(0, 200)), max_size=40)


def live(desk: Desk, life: list[tuple[object, int]], restart_at: int | None = None) -> Desk:
    """What is said is confirmed at once; at a restart the daemon knows nothing but that."""
    said = desk.said
    for number, (what, wait) in enumerate(life):
        if number == restart_at:
            now, told = desk.now, desk.book.incidents.told()
            desk = Desk(*RULES, gather_s=GATHER_S)
            desk.now, desk.said = now, said
            desk.book.restore(told, now)
        if what is Notice.FLEET_VANISHED:
            desk.notice(Notice.FLEET_VANISHED)
        elif what is Notice.FLEET_BACK:
            desk.end(Notice.FLEET_BACK)
        elif isinstance(what, tuple):
            desk.see(what[1], what[0])
        for one in desk.turn(wait, 5):
            desk.book.incidents.settle(one)
    return desk


def assert_well_told(desk: Desk) -> None:
    """Each trouble's news alternate, beginning with its firing; pausing may leave a recovery out."""
    incidents: dict[tuple[str, str], str] = {}
    for one in desk.said:
        for trouble in one.troubles:
            key = (one.rule, trouble.subject)
            if one.kind is Kind.FIRING:
                incidents[key] = one.incident
            else:
                assert incidents.pop(key, None) == one.incident, f"{key} recovered without having fired, or twice"
    assert all(trouble.state is not State.LOADED for one in desk.said for trouble in one.troubles)


@settings(deadline=None)
@given(steps, st.none() | st.integers(0, 39))
def test_news_of_a_trouble_are_its_firing_and_at_most_one_recovery(
    life: list[tuple[object, int]], restart_at: int | None
) -> None:
    assert_well_told(live(Desk(*RULES, gather_s=GATHER_S), life, restart_at))


@settings(deadline=None)
@given(steps)
def test_a_server_that_is_loaded_is_in_no_open_incident_and_the_book_comes_to_rest(
    life: list[tuple[object, int]],
) -> None:
    desk = live(Desk(*RULES, gather_s=GATHER_S), life)
    desk.see(State.LOADED, *SERVERS)
    desk.end(Notice.FLEET_BACK)
    for one in desk.turn(1000, 10):
        desk.book.incidents.settle(one)
    assert len(desk.book.incidents) == 0
    assert desk.book.incidents.told() == []
    assert desk.book.next_due() is None
    assert_well_told(desk)


@settings(deadline=None)
@given(steps, st.sampled_from(SERVERS))
def test_a_trouble_that_lasts_is_told(life: list[tuple[object, int]], name: str) -> None:
    """Now, or before, and has not been over since."""
    desk = live(Desk(*RULES, gather_s=GATHER_S), life)
    desk.see(State.FAILED, name)
    desk.turn(FOR_S + 4 * GATHER_S + 5, 5)
    assert ("bad", name) in desk.book.incidents
    assert ("bad", name) in {(one.rule, trouble.subject) for one in desk.said for trouble in one.troubles}
