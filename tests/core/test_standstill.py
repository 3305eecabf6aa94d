"""A server that has stopped to run its prompts, and what only looks like that."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from statemachine.core.standstill import NO_STANDSTILL, QueueLook

TIMEOUT_S = 1_800.0
MINUTE = 60.0


def diagnosed_after(looks: Iterable[QueueLook]) -> float | None:
    """Return the time of the first look after which the server is diagnosed, None if it never is."""
    standstill = NO_STANDSTILL
    for look in looks:
        standstill = standstill.after(look)
        if standstill.diagnosis(TIMEOUT_S) is not None:
            return look.at
    return None


def every_minute(minutes: int, look: QueueLook) -> list[QueueLook]:
    return [replace(look, at=number * MINUTE) for number in range(minutes + 1)]


def busy(minutes: int, look: QueueLook) -> list[QueueLook]:
    """Return looks at which the devices' memory differs each time."""
    return [replace(one, devices=number) for number, one in enumerate(every_minute(minutes, look))]


def test_dead_worker_that_the_node_reports_is_diagnosed_at_the_second_look() -> None:
    look = QueueLook(0.0, running=("a",), pending=("b",), worker_alive=False)
    assert diagnosed_after(every_minute(5, look)) == MINUTE


def test_prompts_that_wait_while_nothing_runs_are_diagnosed_in_time() -> None:
    assert diagnosed_after(every_minute(60, QueueLook(0.0, pending=("a", "b")))) == TIMEOUT_S


def test_prompts_that_are_added_do_not_hide_the_standstill() -> None:
    looks = every_minute(60, QueueLook(0.0))
    growing = [replace(one, pending=tuple(map(str, range(1 + n)))) for n, one in enumerate(looks)]
    assert diagnosed_after(growing) == TIMEOUT_S


@pytest.mark.parametrize("alive", [True, None])
def test_long_video_on_a_busy_device_is_no_hang(alive: bool | None) -> None:
    look = QueueLook(0.0, running=("video",), pending=("b",), worker_alive=alive)
    assert diagnosed_after(busy(300, look)) is None


def test_video_of_40_minutes_is_no_hang_even_if_devices_seem_idle() -> None:
    assert diagnosed_after(every_minute(40, QueueLook(0.0, running=("video",), devices="idle"))) is None


def test_running_prompt_on_idle_devices_is_a_hang_after_three_limits() -> None:
    look = QueueLook(0.0, running=("video",), devices="idle")
    assert diagnosed_after(every_minute(120, look)) == 3 * TIMEOUT_S


@pytest.mark.parametrize(("share", "found"), [(0.02, None), (0.005, 3 * TIMEOUT_S)])
def test_worker_that_computes_is_no_hang(share: float, found: float | None) -> None:
    """The devices seem idle, but the companion node reports the worker's processor time."""
    looks = every_minute(300, QueueLook(0.0, running=("video",), devices="idle"))
    assert diagnosed_after([replace(one, cpu_s=share * one.at) for one in looks]) == found


def test_steps_that_the_node_reports_are_progress() -> None:
    looks = every_minute(300, QueueLook(0.0, running=("video",), devices="idle"))
    assert diagnosed_after([replace(one, step=f"7:{n // 30}/20") for n, one in enumerate(looks)]) is None


def test_looks_of_the_same_instant_show_no_work() -> None:
    assert QueueLook(0.0, cpu_s=1.0).shows_same(QueueLook(0.0, cpu_s=1.0))


def test_partial_list_that_does_not_move_is_a_hang_after_three_limits() -> None:
    """One of the prompts that the queue counts and does not list may be running."""
    look = QueueLook(0.0, pending=("a",), unlisted=2, devices="idle")
    assert diagnosed_after(every_minute(120, look)) == 3 * TIMEOUT_S
    assert diagnosed_after(busy(120, look)) is None
    assert diagnosed_after(every_minute(120, replace(look, devices=None))) is None


def test_partial_list_that_gets_shorter_is_no_standstill() -> None:
    looks = every_minute(300, QueueLook(0.0, unlisted=20, devices="idle"))
    assert diagnosed_after([replace(one, unlisted=20 - n // 20) for n, one in enumerate(looks)]) is None


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        (QueueLook(0.0, unlisted=1, worker_alive=False), MINUTE),
        (QueueLook(0.0, running=("ours",), unlisted=1, ours_moved=0.0), TIMEOUT_S),
    ],
)
def test_partial_list_does_not_hide_what_is_certain(look: QueueLook, expected: float) -> None:
    assert diagnosed_after(every_minute(60, look)) == expected


def test_running_prompt_without_figures_of_devices_is_never_a_hang() -> None:
    assert diagnosed_after(every_minute(1_000, QueueLook(0.0, running=("video",)))) is None


def test_our_own_prompt_without_progress_is_a_hang_after_the_limit() -> None:
    look = QueueLook(0.0, running=("ours",), ours_moved=0.0)
    assert diagnosed_after(every_minute(60, look)) == TIMEOUT_S


def test_our_own_prompt_with_progress_is_no_hang() -> None:
    looks = every_minute(300, QueueLook(0.0, running=("ours",)))
    assert diagnosed_after([replace(one, ours_moved=one.at) for one in looks]) is None


def test_prompts_that_end_now_and_then_are_no_standstill() -> None:
    looks = every_minute(300, QueueLook(0.0))
    assert diagnosed_after([replace(one, pending=(str(n // 20),)) for n, one in enumerate(looks)]) is None


def test_empty_queue_is_no_standstill_even_with_a_dead_worker() -> None:
    assert diagnosed_after(every_minute(60, QueueLook(0.0, worker_alive=False))) is None


def test_worker_that_is_seen_alive_again_starts_the_count_over() -> None:
    look = QueueLook(0.0, running=("a",), devices=1)
    flags = [False, True, False, True]
    looks = [replace(look, at=n * MINUTE, worker_alive=flag, devices=n) for n, flag in enumerate(flags)]
    assert diagnosed_after(looks) is None
