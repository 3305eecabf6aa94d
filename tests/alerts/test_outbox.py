"""How much goes to a channel, and that nothing is dropped for it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from statemachine.alerts.queue import WAITING_LIMIT, Limit, NotificationBatch, NotificationQueue
from tests.alerts.samples import announcement


def take_all(box: NotificationQueue, now: float) -> list[NotificationBatch]:
    taken = []
    while (batch := box.take(now)) is not None:
        taken.append(batch)
    return taken


def sizes(batches: list[NotificationBatch]) -> list[int]:
    return [len(batch.announcements) + batch.uncounted for batch in batches]


def test_what_the_limit_allows_goes_one_by_one() -> None:
    box = NotificationQueue(Limit(3, 60))
    for number in range(3):
        box.offer(announcement(number))
    assert sizes(take_all(box, 0)) == [1, 1, 1]


def test_the_last_message_that_the_limit_allows_sums_up_the_rest() -> None:
    box = NotificationQueue(Limit(3, 60))
    for number in range(50):
        box.offer(announcement(number))
    assert sizes(take_all(box, 0)) == [1, 1, 48]
    box.offer(announcement(50))
    assert (take_all(box, 59), box.ready_at(59)) == ([], 60)
    assert sizes(take_all(box, 60)) == [1]


def test_of_too_many_that_wait_the_oldest_are_only_counted() -> None:
    box = NotificationQueue(Limit(1, 60))
    box.offer(announcement(0))
    box.take(0)
    gone = [box.offer(announcement(number)) for number in range(WAITING_LIMIT + 5)]
    assert [one.id for one in gone if one is not None] == [f"id{number}" for number in range(5)]
    (batch,) = take_all(box, 60)
    assert (len(batch.announcements), batch.uncounted) == (WAITING_LIMIT, 5)


def test_what_is_put_back_comes_first() -> None:
    box = NotificationQueue(Limit(9, 60))
    for number in range(3):
        box.offer(announcement(number))
    first = box.take(0)
    assert first is not None
    box.put_back(first)
    assert [one.id for one in box.take_all().announcements] == ["id0", "id1", "id2"]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 100), st.integers(0, 30)), max_size=30),
    st.integers(1, 5),
    st.floats(1, 300),
)
def test_nothing_is_lost_and_the_limit_holds(
    arrivals: list[tuple[float, int]], max_messages: int, window_s: float
) -> None:
    box, now, number = NotificationQueue(Limit(max_messages, window_s)), 0.0, 0
    sent: list[tuple[float, NotificationBatch]] = []
    for pause, count in arrivals:
        now += pause
        for _ in range(count):
            box.offer(announcement(number))
            number += 1
        sent += [(now, batch) for batch in take_all(box, now)]
    for _ in range(number):
        ready_at = box.ready_at(now)
        if ready_at is None:
            break
        now = max(now, ready_at)
        sent += [(now, batch) for batch in take_all(box, now)]
    assert [one.id for _, batch in sent for one in batch.announcements] == [f"id{n}" for n in range(number)]
    for at, _ in sent:
        assert sum(at <= when < at + window_s for when, _ in sent) <= max_messages
