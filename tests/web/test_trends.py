"""GET /api/trends: the last day of the servers that are named, by the hour."""

import pytest

from statemachine.journal.store import Write
from statemachine.web.trends import MAX_SERVERS
from tests.web.site import COLD, LOADED, Site
from tests.web.test_stats import PAST


async def test_trends_have_the_hours_of_the_named_servers(site: Site) -> None:
    await site.journal.with_store(lambda store: store.write([Write(one, None) for one in PAST]))
    status, body = await site.get(f"/api/trends?server={COLD}&server={LOADED}&server={COLD}&server=gone:1")
    assert status == 200
    assert body["generated_at"] == "2026-01-01T00:00:00.000Z"
    assert len(body["hours"]) == 24
    assert body["hours"][0] == "2025-12-31T01:00:00.000Z"
    assert {name: shares[-4:] for name, shares in body["servers"].items()} == {
        COLD: [None, 0.0, 0.125, None],
        LOADED: [None, 1.0, 1.0, None],
    }


async def test_trends_equal_those_of_stats(site: Site) -> None:
    await site.journal.with_store(lambda store: store.write([Write(one, None) for one in PAST]))
    _, trends = await site.get(f"/api/trends?server={COLD}")
    _, stats = await site.get(f"/api/stats?server={COLD}")
    points = zip(trends["hours"], trends["servers"][COLD], strict=True)
    assert [{"at": at, "warm_share": share} for at, share in points] == stats["trend"]["server"]


@pytest.mark.parametrize(("count", "expected"), [(0, 200), (MAX_SERVERS, 200), (MAX_SERVERS + 1, 400)])
async def test_trends_name_only_so_many_servers(site: Site, count: int, expected: int) -> None:
    query = "&".join(f"server=s{number}" for number in range(count))
    status, body = await site.get(f"/api/trends?{query}")
    assert status == expected
    assert body["servers"] == {} if status == 200 else body["error"]["code"] == "too_many_servers"


async def test_trends_without_journal_are_503(site: Site) -> None:
    await site.journal.close()
    status, body = await site.get(f"/api/trends?server={COLD}")
    assert (status, body["error"]["code"]) == (503, "warmth_unknown")
