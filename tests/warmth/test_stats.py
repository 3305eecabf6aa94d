"""Windows, hours and quantiles."""

from array import array
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statemachine.core.vocabulary import Reason, State
from statemachine.warmth.server import ServerWarmth
from statemachine.warmth.stats import SORT_BATCH, Moments, Samples, Totals, scope_of
from tests.warmth.log_builder import BEGIN, DAY, HOUR, LogBuilder

R, S = Reason, State


def servers(log: LogBuilder, *names: str) -> list[ServerWarmth]:
    """Return the histories of these servers."""
    history = log.history()
    known = [history.server(name) for name in names]
    return [server for server in known if server is not None]


# Windows.


def test_window_drops_event_at_exact_age() -> None:
    log = LogBuilder().start_run().loaded().go(S.COLD, R.KEYS_MISSING)
    histories = servers(log, "a")
    for length, window in ((HOUR, "1h"), (DAY, "24h"), (7 * DAY, "7d")):
        inside = scope_of(histories, Moments(BEGIN + length - 0.001)).windows[window]
        outside = scope_of(histories, Moments(BEGIN + length)).windows[window]
        assert (inside.evictions, outside.evictions) == (1, 0)


def test_windows_have_separate_shares() -> None:
    log = LogBuilder().start_run().cold().wait(6 * DAY).go(S.LOADED, R.ALL_CACHED)
    log.wait(DAY - HOUR / 2).go(S.COLD, R.KEYS_MISSING).wait(HOUR / 2)
    shares = [figures.warm_share for figures in scope_of(servers(log, "a"), Moments(log.now)).windows.values()]
    assert shares == pytest.approx([1 / 2, 47 / 48, (DAY - HOUR / 2) / (7 * DAY)])


def test_window_weighs_server_by_its_watched_time() -> None:
    log = LogBuilder().start_run().loaded("a").wait(HOUR / 2).cold("b").wait(HOUR / 2)
    assert scope_of(servers(log, "a", "b"), Moments(log.now)).windows["1h"].warm_share == pytest.approx(2 / 3)


def test_window_ignores_entries_after_its_end() -> None:
    log = LogBuilder().start_run().cold().submitted().wait(60).succeeded().go(S.LOADED, R.ALL_CACHED)
    log.wait(60).go(S.COLD, R.KEYS_MISSING)
    figures = scope_of(servers(log, "a"), Moments(BEGIN + 30)).windows["1h"]
    assert (figures.warm_share, figures.warmed, figures.evictions, figures.attempts) == (0.0, 0, 0, 0)


def test_scope_without_servers_has_no_figures() -> None:
    for figures in scope_of([], Moments(BEGIN)).windows.values():
        assert (figures.warm_share, figures.time_to_warm_p50_s, figures.time_to_warm_p99_s) == (None, None, None)
        assert (figures.warmed, figures.evictions, figures.attempts, figures.failed_attempts) == (0, 0, 0, {})


# Hours.


def test_trend_has_24_clock_hours_ending_now() -> None:
    log = LogBuilder().start_run().loaded().wait(HOUR / 2).go(S.COLD, R.KEYS_MISSING).wait(HOUR)
    trend = scope_of(servers(log, "a"), Moments(log.now)).trend
    assert [point.at for point in trend] == [BEGIN + HOUR * number for number in range(-22, 2)]
    assert [point.warm_share for point in trend] == [None] * 22 + [pytest.approx(0.5), 0.0]


def test_trend_at_full_hour_has_empty_last_point() -> None:
    log = LogBuilder().start_run().loaded().wait(HOUR)
    trend = scope_of(servers(log, "a"), Moments(log.now)).trend
    assert [point.warm_share for point in trend[-2:]] == [1.0, None]


# Totals and quantiles.


def test_totals_merged_from_groups_match_direct_sum() -> None:
    log = LogBuilder().start_run()
    for number in range(9):
        log.wait(100).cold(f"s{number}").wait(200 * number).go(S.LOADED, R.ALL_CACHED, server=f"s{number}")
        log.wait(60).go(S.COLD, R.KEYS_MISSING, server=f"s{number}")
    moments = Moments(log.now)
    histories = servers(log, *(f"s{number}" for number in range(9)))
    groups, fleet = [Totals(moments) for _ in range(3)], Totals(moments)
    for number, one in enumerate(histories):
        groups[number % 3].add(one)
    for group in groups:
        fleet.merge(group)
    merged, at_once = fleet.scope(), scope_of(histories, moments)
    assert at_once.windows["24h"].evictions == 9
    for window, figures in at_once.windows.items():
        assert merged.windows[window].warm_share == pytest.approx(figures.warm_share)
        assert merged.windows[window].evictions == figures.evictions


SECONDS = st.lists(st.floats(0, 7 * DAY))


@settings(deadline=None)
@given(st.lists(SECONDS), st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_quantile_is_nearest_rank_rounded_up_to_millisecond(batches: list[list[float]], share: float) -> None:
    samples = Samples()
    for batch in batches:
        part = Samples()
        part.add(array("d", batch))
        samples.merge(part)
    everything = sorted(value for batch in batches for value in batch)
    found = samples.quantile(share)
    if not everything:
        assert found is None
        return
    expected = everything[max(1, ceil(share * len(everything))) - 1]
    assert found is not None
    assert expected <= found <= expected + 0.001001


def test_quantile_over_several_batches_is_exact() -> None:
    samples = Samples()
    for number in range(3 * SORT_BATCH):
        samples.add([float(number * 7919 % (3 * SORT_BATCH))])
    assert len(samples.batches()) == 3
    assert (samples.quantile(0.5), samples.quantile(0.99)) == (
        ceil(1.5 * SORT_BATCH) - 1,
        ceil(0.99 * 3 * SORT_BATCH) - 1,
    )
