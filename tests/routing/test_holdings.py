"""The models that a server probably has ready."""

from statemachine.routing.holdings import MAX_REPORTED, Holdings
from statemachine.routing.retention import MAX_DISTANCE, Retention

A, B, C, D = (frozenset({name}) for name in "ABCD")


def keeping(room: int) -> Holdings:
    """Return the holdings of a server that was learned to keep this many sets."""
    retention = Retention()
    for _ in range(50):
        for distance in range(1, MAX_DISTANCE):
            retention.observe(distance, float(distance < room))
    return Holdings(retention)


def test_holdings_never_seen_model_is_unknown() -> None:
    holdings = keeping(2)
    assert holdings.kept("A") is None
    holdings.run(B, 1.0)
    assert holdings.kept("A") is None
    assert holdings.probability("A") == 0.0


def test_holdings_sets_beyond_the_room_are_gone() -> None:
    holdings = keeping(2)
    for at, models in enumerate((A, B, C)):
        holdings.run(models, at)
    assert [holdings.probability(one) > 0.5 for one in "ABC"] == [False, True, True]
    victim = holdings.victim()
    assert victim is not None
    assert victim.models == B
    assert list(holdings.ready) == ["C", "B"]


def test_holdings_unknown_prompt_takes_room() -> None:
    holdings = keeping(2)
    holdings.run(A, 1.0)
    for at in (2.0, 3.0):
        holdings.run(None, at)
    assert holdings.probability("A") < 0.5


def test_holdings_report_holds_until_something_else_is_loaded() -> None:
    holdings = keeping(2)
    for at, models in enumerate((A, B, C)):
        holdings.run(models, at)
    holdings.report({"A", "B"}, {"C"}, 4.0)
    assert [holdings.kept(one) for one in "ABC"] == [1.0, 1.0, 0.0]
    holdings.run(A, 5.0)
    assert holdings.kept("B") == 1.0
    holdings.run(D, 6.0)
    assert holdings.kept("D") == 1.0
    assert holdings.probability("B") < 0.5


def test_holdings_reported_models_never_run_are_known() -> None:
    holdings = keeping(3)
    holdings.report({"A"}, (), 1.0)
    holdings.run(D, 2.0)
    assert holdings.probability("A") > 0.5
    assert set(holdings.ready) == {"A", "D"}


def test_holdings_restart_leaves_nothing_and_forget_leaves_unknown() -> None:
    holdings = keeping(2)
    holdings.run(A, 1.0)
    holdings.restart()
    assert holdings.kept("A") == 0.0
    holdings.run(A, 1.0)
    holdings.forget()
    assert holdings.kept("A") is None


def test_holdings_prompt_that_did_not_run_is_undone() -> None:
    holdings = keeping(2)
    holdings.run(A, 1.0)
    holdings.run(B, 2.0)
    holdings.unrun(B, None)
    assert holdings.kept("B") is None
    assert holdings.distance("A") == 0


def test_holdings_undone_prompt_leaves_set_where_it_was() -> None:
    holdings = keeping(2)
    for at, models in enumerate((A, B, A)):
        holdings.run(models, at)
    holdings.unrun(A, 1)
    assert [holdings.distance(one) for one in "AB"] == [1, 0]


def test_holdings_prompt_without_models_changes_nothing() -> None:
    holdings = keeping(2)
    holdings.run(A, 1.0)
    holdings.run(frozenset(), 2.0)
    assert holdings.distance("A") == 0


def test_holdings_are_bounded() -> None:
    holdings = keeping(2)
    for number in range(1_000):
        holdings.run(frozenset({str(number)}), number)
    holdings.report([str(number) for number in range(10 * MAX_REPORTED)], (), 1e6)
    assert len(holdings.ready) <= MAX_REPORTED + MAX_DISTANCE
    assert sum(holdings.distance(str(number)) is not None for number in range(1_000)) <= MAX_REPORTED + MAX_DISTANCE
