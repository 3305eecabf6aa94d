"""The queue of a channel: rate limit, digests and capacity."""

from hypothesis import given, settings
from hypothesis import strategies as st

from statemachine.alerts.queue import MAX_WAITING, NotificationBatch, NotificationQueue, RateLimit
from tests.alerts.samples import announcement


def take_all(queue: NotificationQueue, now: float) -> list[NotificationBatch]:
    taken = []
    while (batch := queue.take(now)) is not None:
        taken.append(batch)
    return taken


def sizes(batches: list[NotificationBatch]) -> list[int]:
    return [len(batch.announcements) + batch.omitted for batch in batches]


def test_queue_within_limit_takes_one_by_one() -> None:
    queue = NotificationQueue(RateLimit(3, 60))
    for number in range(3):
        queue.put(announcement(number))
    assert sizes(take_all(queue, 0)) == [1, 1, 1]


def test_queue_at_limit_takes_the_rest_together() -> None:
    queue = NotificationQueue(RateLimit(3, 60))
    for number in range(50):
        queue.put(announcement(number))
    assert sizes(take_all(queue, 0)) == [1, 1, 48]
    queue.put(announcement(50))
    assert (take_all(queue, 59), queue.ready_at(59)) == ([], 60)
    assert sizes(take_all(queue, 60)) == [1]


def test_queue_over_capacity_omits_and_counts_oldest() -> None:
    queue = NotificationQueue(RateLimit(1, 60))
    queue.put(announcement(0))
    queue.take(0)
    gone = [queue.put(announcement(number)) for number in range(MAX_WAITING + 5)]
    assert [one.id for one in gone if one is not None] == [f"id{number}" for number in range(5)]
    (batch,) = take_all(queue, 60)
    assert (len(batch.announcements), batch.omitted) == (MAX_WAITING, 5)


def test_queue_put_back_batch_comes_first() -> None:
    queue = NotificationQueue(RateLimit(9, 60))
    for number in range(3):
        queue.put(announcement(number))
    first = queue.take(0)
    assert first is not None
    queue.put_back(first)
    assert [one.id for one in queue.take_all().announcements] == ["id0", "id1", "id2"]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 100), st.integers(0, 30)), max_size=30),
    st.integers(1, 5),
    st.floats(1, 300),
)
def test_queue_keeps_limit_and_all_announcements(
    arrivals: list[tuple[float, int]], max_messages: int, window_s: float
) -> None:
    queue, now, number = NotificationQueue(RateLimit(max_messages, window_s)), 0.0, 0
    sent: list[tuple[float, NotificationBatch]] = []
    for pause, count in arrivals:
        now += pause
        for _ in range(count):
            queue.put(announcement(number))
            number += 1
        sent += [(now, batch) for batch in take_all(queue, now)]
    for _ in range(number):
        ready_at = queue.ready_at(now)
        if ready_at is None:
            break
        now = max(now, ready_at)
        sent += [(now, batch) for batch in take_all(queue, now)]
    assert [one.id for _, batch in sent for one in batch.announcements] == [f"id{n}" for n in range(number)]
    for at, _ in sent:
        assert sum(at <= when < at + window_s for when, _ in sent) <= max_messages
