"""Backoff, budgets, log entries and the picture of the machine."""

from hypothesis import given
from hypothesis import strategies as st

from statemachine.cli.docs import mermaid, states_page
from statemachine.core.backoff import Budget, backoff, spread
from statemachine.core.log_entry import EntryKind, Transition, entry_of
from statemachine.core.messages import verbatim
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.i18n.render import sentence

CHANCE = st.floats(0, 1, exclude_max=True)
SECONDS = st.floats(0.01, 1e6)


@given(tries=st.integers(0, 10_000), base_s=SECONDS, limit_s=SECONDS, chance=CHANCE)
def test_backoff_stays_in_the_upper_half_of_its_ceiling(
    tries: int, base_s: float, limit_s: float, chance: float
) -> None:
    ceiling = min(limit_s, base_s * 2.0 ** min(tries, 32))
    assert ceiling / 2 <= backoff(tries, base_s, limit_s, lambda: chance) <= ceiling


def test_backoff_doubles_up_to_its_limit() -> None:
    waits = [backoff(tries, 1.0, 10.0, lambda: 0.0) for tries in range(6)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


@given(tries=st.integers(0, 40), chance=CHANCE)
def test_another_failure_never_shortens_the_wait(tries: int, chance: float) -> None:
    assert backoff(tries, 0.25, 300, lambda: chance) <= backoff(tries + 1, 0.25, 300, lambda: chance)


@given(interval_s=SECONDS, chance=CHANCE)
def test_the_spread_is_a_tenth_more_or_less(interval_s: float, chance: float) -> None:
    assert 0.9 * interval_s * 0.999 <= spread(interval_s, lambda: chance) <= 1.1 * interval_s * 1.001


Step = tuple[str, str]
HOSTS = {"a1": "a", "a2": "a", "a3": "a", "b1": "b", "b2": "b", "c1": "c"}
STEPS = st.lists(st.tuples(st.sampled_from(["take", "give"]), st.sampled_from(sorted(HOSTS))), max_size=40)


@given(steps=STEPS, total=st.integers(1, 5), per_host=st.integers(1, 3))
def test_budget_counts_each_server_once_and_is_never_exceeded_by_those_who_ask(
    steps: list[Step], total: int, per_host: int
) -> None:
    budget, holders = Budget(total, per_host), set[str]()
    for step, server in steps:
        host = HOSTS[server]
        if step == "give":
            assert budget.release(server) is (server in holders)
            holders.discard(server)
        elif budget.has_room(host):
            budget.take(server, host)
            holders.add(server)
        here = sum(HOSTS[one] == host for one in holders)
        assert len(budget) == len(holders) <= total
        assert budget.has_room(host) is (len(holders) < total and here < per_host)
        assert (server in budget) is (server in holders)


def test_what_is_in_flight_already_counts_beyond_the_budget() -> None:
    budget = Budget(1, 1)
    budget.take("a1", "a")
    budget.take("a2", "a")
    assert len(budget) == 2
    budget.release("a1")
    assert not budget.has_room("a")
    budget.release("a2")
    assert budget.has_room("a")


def test_an_entry_says_what_its_transition_says() -> None:
    one = Transition("a", 5.0, State.COLD, State.SUBMITTING, Reason.PERMIT_GRANTED, Source.QUEUE, "p", verbatim("go"))
    entry = entry_of(one, "lab", one.message)
    assert (entry.kind, entry.reason, entry.server, entry.group) == (
        EntryKind.TRANSITION,
        "permit_granted",
        "a",
        "lab",
    )
    assert (entry.source, entry.dest, entry.proved_by) == (State.COLD, State.SUBMITTING, Source.QUEUE)
    assert (entry.at, entry.prompt_id, sentence(entry.message), entry.seq) == (5.0, "p", "go", None)
    assert entry.numbered(7).seq == 7


def test_the_picture_shows_every_state_and_the_page_every_word() -> None:
    picture, page = mermaid(), states_page()
    assert all(f"--> {state.value}:" in picture for state in State if state is not State.PAUSED)
    assert "loaded --> submitting" not in picture
    assert "auto_executing --> submitting" not in picture
    assert all(f"| `{word.value}` |" in page for word in (*State, *Reason))
    assert all(f"`{proved_by.value}`" in page for proved_by in Source)
