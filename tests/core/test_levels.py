"""Levels of warmth: models that leave memory while their keys stay cached."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from statemachine.core import events as e
from statemachine.core.levels import KeyPlace, Level, keys_below, lowest
from statemachine.core.messages import verbatim
from statemachine.core.vocabulary import Reason, State
from statemachine.i18n.render import render, sentence
from tests.core.builders import OURS, WORKFLOW, MachineDriver, accepted, cache_frame, submission, succeeded

KEY, RAM, VRAM = Level
LINK = e.LinkOpened("c1", refused_before=False)
WANTED = {"k1": VRAM, "k2": VRAM}


def places(k1: Level, k2: Level = VRAM) -> dict[str, KeyPlace]:
    return {"k1": KeyPlace(k1), "k2": KeyPlace(k2)}


class LevelDriver(MachineDriver):
    """A server whose companion node reports levels. `wanted` is what the settings want."""

    def __init__(self, wanted: Mapping[str, Level] = WANTED) -> None:
        super().__init__()
        self.wanted = wanted
        self.sequence = 5
        self.apply(LINK)

    def at(self, k1: Level, *missing: str, k2: Level = VRAM) -> e.CheckAnswered:
        """Return a check's answer with the models of k1 and k2 at these levels."""
        found = places(k1, k2)
        below = keys_below(found, self.wanted)
        answer = self.node_answer(*missing, sequence=self.sequence)
        assert answer.node_cursor is not None
        cursor = replace(answer.node_cursor, wanted=self.wanted)
        needed = (WORKFLOW,) if below or missing else ()
        return replace(answer, node_cursor=cursor, places=found, below=below, needed=needed)

    def checked(self, k1: Level, *missing: str, k2: Level = VRAM) -> list[tuple[State, Reason]]:
        return self.moved(e.CheckStarted(), self.at(k1, *missing, k2=k2))[-1:]

    def moved(self, *happened: e.Event) -> list[tuple[State, Reason]]:
        return [(one.dest, one.reason) for one in self.apply(*happened)]

    def frame(self, k1: Level | None, k2: Level = VRAM, *, present: tuple[str, ...] = ("k1", "k2")) -> e.CacheReported:
        self.sequence += 1
        reported = None if k1 is None else places(k1, k2)
        return replace(cache_frame(*present, sequence=self.sequence), places=reported)

    def warmed_to(self, k1: Level) -> list[tuple[State, Reason]]:
        """Warm the server up; the next check finds the models of k1 at this level."""
        prompt = f"p{self.now}"
        self.apply(submission(prompt), accepted(prompt), succeeded(prompt))
        return self.moved(self.at(k1))


@pytest.mark.parametrize(
    ("place", "wanted", "expected"),
    [
        (KeyPlace(KEY), KEY, False), (KeyPlace(KEY), RAM, True), (KeyPlace(KEY), VRAM, True),
        (KeyPlace(RAM), RAM, False), (KeyPlace(RAM), VRAM, True), (KeyPlace(VRAM), RAM, False),
        (KeyPlace(RAM, RAM), VRAM, False), (KeyPlace(KEY, RAM), VRAM, True), (KeyPlace(KEY, KEY), VRAM, False),
    ],
)  # fmt: skip
def test_place_is_below_wanted_up_to_its_highest(place: KeyPlace, wanted: Level, expected: bool) -> None:
    assert place.is_below(wanted) is expected
    assert keys_below({"k": place}, {"k": wanted, "unknown": wanted}) == (("k",) if expected else ())


def test_lowest_of_unknown_levels_is_none() -> None:
    assert lowest([]) is None
    assert lowest([VRAM, KEY, RAM]) is KEY
    assert [level.word for level in Level] == ["key", "ram", "vram"]


def test_models_below_wanted_level_make_server_cold() -> None:
    driver = LevelDriver()
    assert driver.checked(RAM) == [(State.COLD, Reason.MODELS_UNLOADED)]
    assert driver.server.below == ("k1",)
    assert sentence(driver.server.message) == (
        'node check: everything is cached, but the models of k1 are at level "ram", below "vram"'
    )
    assert "级别" in render(driver.server.message, "zh")


def test_missing_keys_count_before_levels() -> None:
    driver = LevelDriver()
    assert driver.checked(RAM, "k2") == [(State.COLD, Reason.KEYS_MISSING)]
    assert sentence(driver.server.message) == "node check: missing k2"


def test_level_that_is_not_wanted_or_not_reported_decides_nothing() -> None:
    assert LevelDriver({}).checked(KEY) == [(State.LOADED, Reason.ALL_CACHED)]
    driver = LevelDriver()
    answer = replace(driver.at(VRAM), places=None)
    assert driver.moved(e.CheckStarted(), answer)[-1:] == [(State.LOADED, Reason.ALL_CACHED)]
    assert driver.server.places is None


def test_frame_with_lower_level_revokes_loaded() -> None:
    driver = LevelDriver()
    driver.checked(VRAM)
    epoch = driver.server.epoch
    assert driver.moved(driver.frame(None), driver.frame(VRAM)) == []
    assert driver.server.epoch == epoch
    (moved,) = driver.apply(driver.frame(RAM))
    assert (moved.dest, moved.reason) == (State.UNKNOWN, Reason.CACHE_CHANGED)
    assert sentence(moved.message) == "the models of k1 are below the level that the settings want"
    assert driver.server.places == places(RAM)
    assert driver.checked(RAM) == [(State.COLD, Reason.MODELS_UNLOADED)]


def test_frame_with_lower_level_is_shown_where_key_is_enough() -> None:
    driver = LevelDriver({})
    driver.checked(VRAM)
    assert driver.moved(driver.frame(KEY)) == []
    assert driver.server.places == places(KEY)


def test_frame_with_wanted_levels_causes_check() -> None:
    driver = LevelDriver()
    driver.checked(RAM)
    assert driver.moved(driver.frame(None), driver.frame(RAM)) == []
    assert driver.moved(driver.frame(VRAM)) == [(State.CHECKING, Reason.CACHE_CHANGED)]
    assert driver.moved(driver.at(VRAM)) == [(State.LOADED, Reason.ALL_CACHED)]
    assert driver.server.below == ()


def test_success_that_does_not_reach_level_fails_after_two() -> None:
    driver = LevelDriver()
    driver.checked(RAM)
    assert driver.warmed_to(RAM) == [(State.COLD, Reason.STILL_COLD_AFTER_SUCCESS)]
    assert "memory is probably too small" in sentence(driver.server.message)
    assert driver.warmed_to(RAM) == [(State.FAILED, Reason.STILL_COLD_AFTER_SUCCESS)]
    driver.apply(e.RetryDue(), e.CheckStarted(), driver.at(RAM))
    assert driver.warmed_to(RAM)[0][1] is Reason.STILL_COLD_AFTER_SUCCESS
    assert driver.server.streak.count == 3
    driver.server.streak = replace(driver.server.streak, retry_due=False)
    assert driver.server.streak.gave_up


def test_models_that_leave_memory_soon_are_contested() -> None:
    driver = LevelDriver()
    driver.checked(RAM)
    reasons = []
    for _ in range(3):
        assert driver.warmed_to(VRAM) == [(State.LOADED, Reason.ALL_CACHED)]
        driver.apply(driver.frame(RAM))
        reasons.append(driver.checked(RAM)[0][1])
    assert reasons == [Reason.MODELS_UNLOADED, Reason.CONTESTED, Reason.CONTESTED]
    assert "moved out of memory 3 times in a row" in sentence(driver.server.message)


def test_wanted_level_that_is_reached_ends_streak() -> None:
    driver = LevelDriver()
    driver.checked(RAM)
    driver.warmed_to(RAM)
    assert driver.warmed_to(VRAM) == [(State.LOADED, Reason.ALL_CACHED)]
    assert driver.server.streak.count == 0


@pytest.mark.parametrize(
    "gone",
    [
        [cache_frame(sequence=1, instance="i2")],
        [e.NotAnswering(verbatim("timed out"))] * 3,
        [e.LinkLost(verbatim("closed")), e.LinkOpened("c2", refused_before=True)],
        [e.SettingsChanged()],
    ],
    ids=["other instance", "unreachable", "refused", "settings"],
)
def test_levels_of_earlier_process_are_forgotten(gone: list[e.Event]) -> None:
    driver = LevelDriver()
    driver.checked(VRAM)
    driver.apply(*gone)
    assert driver.server.places is None


def test_attempt_in_flight_ignores_levels() -> None:
    driver = LevelDriver()
    driver.checked(RAM)
    driver.warm(OURS)
    assert driver.moved(driver.frame(KEY), driver.frame(VRAM)) == []
