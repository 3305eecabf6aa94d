"""The counters of groups that come and go."""

from statemachine.core.vocabulary import Reason, State
from statemachine.publish.counters import Counters
from statemachine.publish.serialize import StreamMessage, Topic


def loaded(group: str) -> StreamMessage:
    return StreamMessage(Topic.TRANSITION, dict, group=group, state=State.LOADED, reason=Reason.ALL_CACHED.value)


def groups_of(counters: Counters) -> set[str]:
    samples = (one for family in counters.collectors for metric in family.collect() for one in metric.samples)
    return {one.labels["group"] for one in samples if "group" in one.labels}


def test_series_of_groups_that_stay_empty_are_dropped() -> None:
    counters = Counters()
    counters.add_groups(["lab", "gone"])
    counters.check_answered("gone", 0.1)
    counters.count_message(loaded("never scraped"))
    counters.forget_groups({"lab"})
    assert groups_of(counters) == {"lab", "gone", "never scraped"}
    counters.forget_groups({"lab"})
    assert groups_of(counters) == {"lab"}


def test_series_of_a_group_that_is_back_in_time_are_kept() -> None:
    counters = Counters()
    counters.count_message(loaded("lab"))
    for present in (set[str](), {"lab"}, set[str](), {"lab"}):
        counters.forget_groups(present)
    assert groups_of(counters) == {"lab"}


def test_group_that_returns_later_begins_at_zero() -> None:
    counters = Counters()
    counters.add_groups(["lab"])
    counters.count_message(loaded("lab"))
    counters.forget_groups(())
    counters.forget_groups(())
    counters.add_groups(["lab"])
    assert groups_of(counters) == {"lab"}
    assert all(one.value == 0 for metric in counters._transitions.collect() for one in metric.samples)


def test_series_do_not_grow_with_groups_that_come_and_go() -> None:
    counters, sizes = Counters(), list[int]()
    for number in range(6):
        counters.add_groups([f"g{number}"])
        counters.forget_groups({f"g{number}"})
        sizes.append(len(groups_of(counters)))
    assert sizes[2:] == [sizes[1]] * 4
