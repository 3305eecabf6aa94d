"""Windows, hours and quantiles."""

from array import array
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statemachine.core.vocabulary import Reason, State
from statemachine.warmth.server import ServerWarmth
from statemachine.warmth.stats import RUN, Moments, Samples, Totals, scope_of
from tests.warmth.chronicle import BEGIN, DAY, HOUR, Chronicle

R, S = Reason, State


def servers(log: Chronicle, *names: str) -> list[ServerWarmth]:
    """Their saved_states."""
    book = log.book()
    known = [book.server(name) for name in names]
    return [server for server in known if server is not None]


# Windows slide.


def test_an_event_leaves_a_window_at_the_instant_at_which_it_is_as_old_as_the_window() -> None:
    log = Chronicle().new_life().loaded().go(S.COLD, R.KEYS_MISSING)
    saved_states = servers(log, "a")
    for length, window in ((HOUR, "1h"), (DAY, "24h"), (7 * DAY, "7d")):
        inside = scope_of(saved_states, Moments(BEGIN + length - 0.001)).windows[window]
        outside = scope_of(saved_states, Moments(BEGIN + length)).windows[window]
        assert (inside.evictions, outside.evictions) == (1, 0)


def test_each_window_has_its_own_share() -> None:
    log = Chronicle().new_life().cold().wait(6 * DAY).go(S.LOADED, R.ALL_CACHED)
    log.wait(DAY - HOUR / 2).go(S.COLD, R.KEYS_MISSING).wait(HOUR / 2)
    shares = [figures.warm_share for figures in scope_of(servers(log, "a"), Moments(log.now)).windows.values()]
    assert shares == pytest.approx([1 / 2, 47 / 48, (DAY - HOUR / 2) / (7 * DAY)])


def test_a_server_known_for_a_part_of_the_window_weighs_as_much_as_it_was_watched() -> None:
    log = Chronicle().new_life().loaded("a").wait(HOUR / 2).cold("b").wait(HOUR / 2)
    assert scope_of(servers(log, "a", "b"), Moments(log.now)).windows["1h"].warm_share == pytest.approx(2 / 3)


def test_what_is_younger_than_the_moment_does_not_count() -> None:
    log = Chronicle().new_life().cold().submitted().wait(60).succeeded().go(S.LOADED, R.ALL_CACHED)
    log.wait(60).go(S.COLD, R.KEYS_MISSING)
    figures = scope_of(servers(log, "a"), Moments(BEGIN + 30)).windows["1h"]
    assert (figures.warm_share, figures.warmed, figures.evictions, figures.attempts) == (0.0, 0, 0, 0)


def test_nothing_known_is_no_share_and_no_time() -> None:
    for figures in scope_of([], Moments(BEGIN)).windows.values():
        assert (figures.warm_share, figures.time_to_warm_p50_s, figures.time_to_warm_p99_s) == (None, None, None)
        assert (figures.warmed, figures.evictions, figures.attempts, figures.failed_attempts) == (0, 0, 0, {})


# Hours.


def test_the_trend_is_24_hours_by_the_clock_and_ends_now() -> None:
    log = Chronicle().new_life().loaded().wait(HOUR / 2).go(S.COLD, R.KEYS_MISSING).wait(HOUR)
    trend = scope_of(servers(log, "a"), Moments(log.now)).trend
    assert [point.at for point in trend] == [BEGIN + HOUR * number for number in range(-22, 2)]
    assert [point.warm_share for point in trend] == [None] * 22 + [pytest.approx(0.5), 0.0]


def test_at_the_full_hour_the_new_hour_has_no_figure_yet() -> None:
    log = Chronicle().new_life().loaded().wait(HOUR)
    trend = scope_of(servers(log, "a"), Moments(log.now)).trend
    assert [point.warm_share for point in trend[-2:]] == [1.0, None]


# Adding up.


def test_a_fleet_of_merged_groups_equals_a_fleet_added_up_at_once() -> None:
    log = Chronicle().new_life()
    for number in range(9):
        log.wait(100).cold(f"s{number}").wait(200 * number).go(S.LOADED, R.ALL_CACHED, server=f"s{number}")
        log.wait(60).go(S.COLD, R.KEYS_MISSING, server=f"s{number}")
    moments = Moments(log.now)
    saved_states = servers(log, *(f"s{number}" for number in range(9)))
    groups, fleet = [Totals(moments) for _ in range(3)], Totals(moments)
    for number, past in enumerate(saved_states):
        groups[number % 3].add(past)
    for group in groups:
        fleet.merge(group)
    merged, at_once = fleet.scope(), scope_of(saved_states, moments)
    assert at_once.windows["24h"].evictions == 9
    for window, figures in at_once.windows.items():
        assert merged.windows[window].warm_share == pytest.approx(figures.warm_share)
        assert merged.windows[window].evictions == figures.evictions


SECONDS = st.lists(st.floats(0, 7 * DAY))


@settings(deadline=None)
@given(st.lists(SECONDS), st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_a_quantile_over_runs_is_the_nearest_rank_rounded_up_to_a_millisecond(
    runs: list[list[float]], share: float
) -> None:
    samples = Samples()
    for run in runs:
        part = Samples()
        part.add(array("d", run))
        samples.merge(part)
    everything = sorted(value for run in runs for value in run)
    found = samples.quantile(share)
    if not everything:
        assert found is None
        return
    expected = everything[max(1, ceil(share * len(everything))) - 1]
    assert found is not None
    assert expected <= found <= expected + 0.001001


def test_more_samples_than_one_run_holds_keep_their_quantiles() -> None:
    samples = Samples()
    for number in range(3 * RUN):
        samples.add([float(number * 7919 % (3 * RUN))])
    assert len(samples.runs()) == 3
    assert (samples.quantile(0.5), samples.quantile(0.99)) == (ceil(1.5 * RUN) - 1, ceil(0.99 * 3 * RUN) - 1)
