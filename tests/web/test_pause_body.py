"""The body of a pause."""

from io import BytesIO

import pytest

from statemachine.core.pause import LONGEST_NOTE, PauseTerms
from statemachine.web.pause_body import pause_terms
from statemachine.web.responses import ApiError
from tests.web.site import COLD, Site

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("body", "terms"),
    [
        ("", PauseTerms()),
        (" \n", PauseTerms()),
        ("{}", PauseTerms()),
        ('{"for": "2h"}', PauseTerms(NOW + 7_200)),
        ('{"for": "1d12h", "note": " driver update "}', PauseTerms(NOW + 129_600, "driver update")),
        ('{"for": "1.5H"}', PauseTerms(NOW + 5_400)),
        ('{"until": "2026-01-01T02:00:00+01:00"}', PauseTerms(NOW + 3_600)),
        ('{"note": "驱动升级 👩‍🔧"}', PauseTerms(None, "驱动升级 👩‍🔧")),
    ],
)
def test_body_of_a_pause_is_understood(body: str, terms: PauseTerms) -> None:
    assert pause_terms(body.encode(), NOW) == terms


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "not JSON"),
        ("null", "not an object"),
        ("[1]", "not an object"),
        ('"2h"', "not an object"),
        ('{"four": "2h"}', 'unknown key "four"; allowed: for, until, note'),
        ('{"for": "2h", "until": "2026-01-02T00:00:00Z"}', "either for or until"),
        *(
            (f'{{"for": "{text}"}}', "write one such as 45m, 2h")
            for text in ("", "2", "h", "-2h", "2h2h", "2 hours", "inf", "nan", "1e3s", "２h", "2h;", "9" * 400 + "h")
        ),
        ('{"for": 7200}', "for: not a text"),
        ('{"for": null}', "for: not a text"),
        *((f'{{"for": "{text}"}}', "too short or too long") for text in ("0s", "0.5s", "367d", "9999999w")),
        ('{"until": "2026-01-02"}', "time zone"),
        ('{"until": "tomorrow"}', "time zone"),
        ('{"until": 1767225600}', "time zone"),
        ('{"until": "2025-12-31T23:59:59Z"}', "in the past"),
        ('{"until": "2026-01-01T00:00:00Z"}', "in the past"),
        ('{"until": "9999-12-31T23:59:59-23:59"}', "366 days"),
        ('{"note": 5}', "note: not a text"),
        ('{"note": "a\\nb"}', "control characters"),
        ('{"note": "\\u001b[31mred"}', "control characters"),
        ('{"note": "\\u202egnp"}', "control characters"),
        ('{"note": "\\u2028"}', "control characters"),
        ('{"note": "' + "n" * (LONGEST_NOTE + 1) + '"}', "201 characters; at most 200"),
        ('{"note": "' + "n" * 1_000_000 + '"}', "1000000 characters; at most 200"),
    ],
)
def test_bad_body_of_a_pause_is_refused_by_name(body: str, said: str) -> None:
    with pytest.raises(ApiError) as caught:
        pause_terms(body.encode(), NOW)
    assert (caught.value.status, caught.value.code) == (400, "invalid_pause")
    assert said in caught.value.message
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("target", [f"servers/{COLD}", "groups/default"])
async def test_pause_passes_on_its_terms(site: Site, target: str) -> None:
    async with site.client.post(f"/api/{target}/pause", json={"for": "2h", "note": "driver update"}) as response:
        assert response.status == 202
    pauses = [terms for terms in site.operator.terms if isinstance(terms, PauseTerms)]
    assert {pause.note for pause in pauses} == {"driver update"}
    assert all(pause.until is not None for pause in pauses)


async def test_pause_with_a_bad_body_reaches_no_server(site: Site) -> None:
    async with site.client.post(f"/api/servers/{COLD}/pause", data=b'{"for": "soon"}') as response:
        assert response.status == 400
    async with site.client.post(f"/api/servers/{COLD}/pause", data=BytesIO(b" " * 2_000_000)) as response:
        assert response.status == 413
    assert site.operator.actions == []
