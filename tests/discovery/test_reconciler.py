"""Targets come at once, and go only after a grace period, in bounded shares, and never because a source fails."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statemachine.discovery.reconciler import Reconciler
from statemachine.discovery.source_state import SourceRules
from statemachine.discovery.target import Target
from tests.discovery.samples import target, targets

GRACE_S = 100.0
MOST = 20_000


def reconciler(*names: str, label: str | None = None) -> Reconciler:
    made = Reconciler()
    made.set_sources([SourceRules(name, GRACE_S, label) for name in names])
    return made


def names_of(one: Reconciler, keys: Sequence[str] = (), taken: Sequence[str] = ()) -> list[str]:
    return [server.name for server in one.fleet(keys, taken, MOST).servers]


def test_new_target_is_a_server_at_once() -> None:
    one = reconciler("a")
    assert one.update("a", targets("gpu1:8188", "gpu2:8188"), 0.0)
    assert names_of(one) == ["gpu1:8188", "gpu2:8188"]
    assert not one.update("a", targets("gpu2:8188", "gpu1:8188"), 1.0), "another order changes nothing"


def test_vanished_target_is_removed_after_its_grace() -> None:
    one = reconciler("a")
    one.update("a", targets("gpu1:8188", "gpu2:8188"), 0.0)
    one.update("a", targets("gpu2:8188"), 10.0)
    assert one.next_due(10.0) == 10.0 + GRACE_S
    assert not one.expire(10.0 + GRACE_S - 1)
    assert names_of(one) == ["gpu1:8188", "gpu2:8188"]
    assert one.expire(10.0 + GRACE_S)
    assert names_of(one) == ["gpu2:8188"]


def test_target_that_returns_within_its_grace_stays() -> None:
    one = reconciler("a")
    one.update("a", targets("gpu1:8188"), 0.0)
    one.update("a", (), 10.0)
    one.update("a", targets("gpu1:8188"), 50.0)
    assert one.next_due(50.0) is None
    assert not one.expire(1000.0)


def test_failing_source_removes_nothing() -> None:
    one = reconciler("a")
    one.update("a", targets("gpu1:8188", "gpu2:8188"), 0.0)
    one.update("a", targets("gpu2:8188"), 10.0)
    one.fail("a")
    assert not one.expire(10_000.0)
    assert one.next_due(10_000.0) is None
    one.update("a", targets("gpu2:8188"), 10_001.0)
    assert one.expire(10_001.0)


def test_empty_answer_removes_a_share_in_each_window() -> None:
    one = reconciler("a")
    one.update("a", [target(f"gpu{i}:8188") for i in range(100)], 0.0)
    one.update("a", (), 0.0)
    held = one.held("a")
    assert held is not None
    assert (held.vanished, held.known, held.allowed) == (100, 100, 20)
    counts = []
    for round_ in range(1, 4):
        one.expire(round_ * GRACE_S)
        one.expire(round_ * GRACE_S + 1)
        counts.append(len(names_of(one)))
    assert counts == [80, 64, 52]


def test_small_fleet_can_lose_its_last_server() -> None:
    one = reconciler("a")
    one.update("a", targets("gpu1:8188"), 0.0)
    one.update("a", (), 0.0)
    assert one.expire(GRACE_S)
    assert names_of(one) == []


def test_address_of_two_sources_is_one_server_of_the_first() -> None:
    one = reconciler("a", "b")
    one.update("b", targets("gpu1:8188", "gpu2:8188"), 0.0)
    one.update("a", targets("gpu2:8188"), 0.0)
    assert [(server.source, server.name) for server in one.fleet((), (), MOST).servers] == [
        ("a", "gpu2:8188"),
        ("b", "gpu1:8188"),
    ]
    one.update("a", (), 1.0)
    one.expire(1.0 + GRACE_S)
    assert {(server.source, server.name) for server in one.fleet((), (), MOST).servers} == {
        ("b", "gpu1:8188"),
        ("b", "gpu2:8188"),
    }


def test_address_counts_once_under_another_scheme_and_case() -> None:
    one = reconciler("a")
    one.update("a", targets("gpu1:8188", "https://GPU1:8188/", "http://gpu1:8188"), 0.0)
    assert names_of(one) == ["gpu1:8188"]


def test_prefix_makes_another_server_that_needs_a_name() -> None:
    one = reconciler("a", label="name")
    one.update("a", [target("https://gw/one", name="one"), target("https://gw/two", name="two")], 0.0)
    assert names_of(one) == ["one", "two"]


def test_server_of_the_settings_wins() -> None:
    one = reconciler("a")
    one.update("a", targets("gpu1:8188", "gpu2:8188"), 0.0)
    assert names_of(one, keys=["gpu1:8188"]) == ["gpu2:8188"]
    fleet = one.fleet((), ["gpu1:8188"], MOST)
    assert [server.name for server in fleet.nameless] == ["gpu1:8188"]


def test_name_goes_to_a_listed_target_before_a_vanished_one() -> None:
    one = reconciler("a", label="name")
    one.update("a", [target("old:8188", name="one")], 0.0)
    one.update("a", [target("new:8188", name="one")], 1.0)
    (server,) = one.fleet((), (), MOST).servers
    assert server.target.address.host == "new"
    assert one.fleet((), (), MOST).nameless == ()


def test_name_of_two_listed_targets_is_refused_for_the_second() -> None:
    one = reconciler("a", label="name")
    one.update("a", [target("gpu1:8188", name="one"), target("gpu2:8188", name="one")], 0.0)
    fleet = one.fleet((), (), MOST)
    assert [server.target.key for server in fleet.servers] == ["gpu1:8188"]
    assert [server.target.key for server in fleet.nameless] == ["gpu2:8188"]


def test_fleet_is_bounded() -> None:
    one = reconciler("a")
    one.update("a", [target(f"gpu{i}:8188") for i in range(10)], 0.0)
    fleet = one.fleet((), (), 4)
    assert (len(fleet.servers), fleet.beyond) == (4, {"a": 6})


def sources_of(one: Reconciler, most: int = MOST) -> dict[str, str]:
    """Return the source of each server by its name."""
    return {server.name: server.source for server in one.fleet((), (), most).servers}


def test_flood_of_one_source_takes_no_place_of_another() -> None:
    one = reconciler("a", "b")
    one.update("b", targets("gpu1:8188", "gpu2:8188"), 0.0)
    assert len(names_of(one)) == 2
    one.update("a", [target(f"flood{i}:8188") for i in range(10)], 1.0)
    fleet = one.fleet((), (), 5)
    assert Counter(server.source for server in fleet.servers) == {"a": 3, "b": 2}
    assert fleet.beyond == {"a": 7}


def test_vanished_server_keeps_its_place_from_another_source() -> None:
    one = reconciler("a", "b")
    one.update("b", targets("gpu1:8188"), 0.0)
    names_of(one)
    one.update("b", (), 1.0)
    one.update("a", [target(f"flood{i}:8188") for i in range(10)], 1.0)
    assert Counter(sources_of(one, most=5).values()) == {"a": 4, "b": 1}


def test_new_server_has_the_place_of_a_vanished_one_of_its_source() -> None:
    one = reconciler("a")
    one.update("a", targets("old:8188", "gpu1:8188"), 0.0)
    assert set(sources_of(one, most=2)) == {"old:8188", "gpu1:8188"}
    one.update("a", targets("gpu1:8188", "new:8188"), 1.0)
    assert set(sources_of(one, most=2)) == {"gpu1:8188", "new:8188"}


def test_source_has_at_most_its_own_number_of_servers() -> None:
    one = Reconciler()
    one.set_sources([SourceRules("a", GRACE_S, max_servers=2), SourceRules("b", GRACE_S)])
    one.update("a", [target(f"gpu{i}:8188") for i in range(5)], 0.0)
    one.update("b", targets("gpu9:8188"), 0.0)
    fleet = one.fleet((), (), MOST)
    assert [server.name for server in fleet.servers] == ["gpu0:8188", "gpu1:8188", "gpu9:8188"]
    assert (fleet.excess, fleet.beyond) == ({"a": 3}, {})


def test_earlier_source_takes_no_address_of_a_listed_server() -> None:
    one = reconciler("a", "b")
    one.update("b", targets("gpu1:8188"), 0.0)
    assert sources_of(one) == {"gpu1:8188": "b"}
    one.update("a", targets("gpu1:8188"), 1.0)
    assert sources_of(one) == {"gpu1:8188": "b"}
    one.update("b", (), 2.0)
    assert sources_of(one) == {"gpu1:8188": "a"}, "only one of them lists it now"


@pytest.mark.parametrize("first", ["a", "b"])
def test_other_target_takes_no_name_of_a_listed_server(first: str) -> None:
    one = reconciler("a", "b", label="name")
    second = "b" if first == "a" else "a"
    one.update(first, [target("gpu1:8188", name="one")], 0.0)
    assert sources_of(one) == {"one": first}
    one.update(second, [target("gpu2:8188", name="one")], 1.0)
    fleet = one.fleet((), (), MOST)
    assert [server.target.address.host for server in fleet.servers] == ["gpu1"]
    assert [server.target.address.host for server in fleet.nameless] == ["gpu2"]


def test_restored_server_keeps_its_name_and_source() -> None:
    one = reconciler("a", "b", label="name")
    one.restore("a", [target("gpu2:8188", name="one"), target("gpu3:8188")], {})
    one.restore(
        "b", [target("gpu1:8188", name="one"), target("gpu3:8188")], {"gpu1:8188": "one", "gpu3:8188": "gpu3:8188"}
    )
    assert sources_of(one) == {"one": "b", "gpu3:8188": "b"}


def test_addresses_that_change_with_each_answer_leave_nothing() -> None:
    one = reconciler("a")
    for round_ in range(100):
        one.update("a", [target(f"gpu{round_}-{i}:8188") for i in range(10)], float(round_))
        one.fleet((), (), 10)
    assert len(one.targets("a")) <= 20


def test_renamed_source_keeps_its_servers() -> None:
    one = reconciler("a", "b")
    one.update("a", targets("gpu1:8188"), 0.0)
    names_of(one)
    one.set_sources([SourceRules("b", GRACE_S), SourceRules("new", GRACE_S)], {"new": "a"})
    assert sources_of(one) == {"gpu1:8188": "new"}
    assert one.members("new") == {"gpu1:8188": "gpu1:8188"}


def test_restored_targets_stay_until_the_source_answers() -> None:
    one = reconciler("a")
    one.restore("a", targets("gpu1:8188"), {})
    assert not one.expire(10_000.0)
    assert names_of(one) == ["gpu1:8188"]
    one.update("a", (), 10_000.0)
    assert one.expire(10_000.0 + GRACE_S)


def test_removed_source_takes_its_targets_with_it() -> None:
    one = reconciler("a", "b")
    one.update("a", targets("gpu1:8188"), 0.0)
    one.update("b", targets("gpu2:8188"), 0.0)
    one.set_sources([SourceRules("b", GRACE_S)])
    assert names_of(one) == ["gpu2:8188"]


ADDRESSES = [target(f"gpu{i}:8188") for i in range(12)]
ANSWERS = st.one_of(st.none(), st.lists(st.sampled_from(ADDRESSES), max_size=20))
STEPS = st.lists(st.tuples(st.sampled_from(["a", "b"]), ANSWERS, st.floats(0.0, 90.0)), max_size=40)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_reconciler_keeps_its_promises(steps: list[tuple[str, list[Target] | None, float]]) -> None:
    """No address twice; nothing listed is missing; nothing goes before its grace, nor more than the share."""
    one, now = reconciler("a", "b"), 0.0
    listed: dict[str, set[str]] = {"a": set(), "b": set()}
    seen: dict[str, float] = {}
    for source, answer, pause_s in steps:
        now += pause_s
        for key in listed["a"] | listed["b"]:
            seen[key] = now
        if answer is None:
            one.fail(source)
        else:
            one.update(source, answer, now)
            listed[source] = {target.key for target in answer}
        before = set(names_of(one))
        one.expire(now)
        after = names_of(one)
        assert len(set(after)) == len(after)
        assert (listed["a"] | listed["b"]) <= set(after)
        gone = before - set(after)
        assert all(now - seen.get(name, now) >= GRACE_S - 1e-6 for name in gone)
        assert len(gone) <= 2 * max(1, len(before) // 5 + 1)
        due = one.next_due(now)
        assert due is None or due >= now - 90.0 - GRACE_S
