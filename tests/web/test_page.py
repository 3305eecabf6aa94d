"""The page: its words in both languages, and what a browser is allowed to do with it."""

import json
import re
from pathlib import Path

import pytest

from statemachine.core.vocabulary import Reason, State
from statemachine.web import texts
from statemachine.web.page import DISPLAY_ORDER, LOG_ENTRIES
from tests.web.site import COLD, Site, running_site, transition_entry

WEB = Path(texts.__file__).parent
# Which of the two names a script has is the system's choice; browsers take both.
CONTENT_TYPES = {
    "js": {"text/javascript", "application/javascript"},
    "css": {"text/css"},
    "svg": {"image/svg+xml"},
}
SCRIPTS = sorted((WEB / "static").glob("*.js"))


async def page(site: Site, query: str = "", accept: str | None = None) -> str:
    headers = {"Accept-Language": accept} if accept else {}
    async with site.client.get(f"/status{query}", headers=headers) as response:
        assert response.status == 200
        assert response.content_type == "text/html"
        return await response.text()


@pytest.mark.parametrize(
    ("query", "accept", "language"),
    [
        ("", None, "en"),
        ("?lang=zh", None, "zh"),
        ("?lang=zh", "en", "zh"),
        ("?lang=xx", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("", "fr, zh;q=0.3, en;q=0.8", "en"),
        ("", "en;q=0, zh;q=0.1", "zh"),
        ("", "fr;q=nonsense", "en"),
    ],
)
async def test_the_language_is_asked_accepted_or_set(site: Site, query: str, accept: str | None, language: str) -> None:
    html = await page(site, query, accept)
    assert f'data-language="{language}"' in html
    heading = {"en": "Event log", "zh": "事件日志"}[language]
    assert f'<h2 id="log-title" data-text="log">{heading}</h2>' in html


async def test_the_page_speaks_of_background_execution_in_both_languages(site: Site) -> None:
    assert '<span data-state-text="auto_executing">后台执行中</span>' in await page(site, "?lang=zh")
    assert '<span data-state-text="auto_executing">Loading itself</span>' in await page(site, "?lang=en")


def test_every_state_and_reason_has_both_languages() -> None:
    assert set(texts.STATES) == set(State) == set(DISPLAY_ORDER)
    assert set(texts.REASONS) == set(Reason)
    for text in [*texts.STATES.values(), *texts.REASONS.values(), *texts.LABELS.values()]:
        assert text.en.isascii() or "…" in text.en
        assert text.zh
        assert not text.zh.isascii()


def test_every_state_has_a_shape_and_a_colour() -> None:
    template = (WEB / "templates/status.html").read_text()
    style = (WEB / "static/status.css").read_text()
    for state in State:
        assert f'id="shape-{state.value}"' in template
        assert f'[data-state="{state.value}"] {{ --state: var(--{state.value}); }}' in style
        assert len(re.findall(rf"^\s+--{state.value}: #", style, re.MULTILINE)) == 2  # light and dark


def test_every_label_that_is_used_exists_and_every_label_is_used() -> None:
    template = (WEB / "templates/status.html").read_text()
    source = template + "".join(script.read_text() for script in SCRIPTS)
    named = set(re.findall(r"""t\['(\w+)'\]|data-text="(\w+)"|label\("(\w+)"\)""", source))
    used = {name for names in named for name in names if name}
    assert used <= set(texts.LABELS)
    for name in texts.LABELS:
        assert re.search(rf"""["']{name}["']""", source), f"{name} is never used"


async def test_the_words_reach_the_script_as_data(site: Site) -> None:
    html = await page(site)
    (data,) = re.findall(r'<script type="application/json" id="texts">(.*?)</script>', html)
    assert json.loads(data) == texts.all_texts()


async def test_nothing_on_the_page_is_inline_or_from_outside(site: Site) -> None:
    html = await page(site)
    scripts = re.findall(r"<script\b([^>]*)>", html)
    assert scripts == [' type="application/json" id="texts"', ' type="module" src="static/status.js"']
    assert not re.search(r"<style|\sstyle=|\son\w+=|https?://|src=\"//", html)
    assert "built-in method" not in html


async def test_every_file_of_the_page_is_served(site: Site) -> None:
    html = await page(site)
    wanted = set(re.findall(r'(?:src|href)="(static/[^"]+)"', html))
    wanted |= {
        f"static/{name}" for script in SCRIPTS for name in re.findall(r'from "\./(\w+\.js)"', script.read_text())
    }
    assert wanted >= {f"static/{script.name}" for script in SCRIPTS}
    for path in sorted(wanted):
        async with site.client.get(f"/{path}") as response:
            assert response.status == 200, path
            assert response.content_type in CONTENT_TYPES[path.rpartition(".")[2]]


async def test_the_log_begins_a_little_before_the_present(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        assert 'data-since="0"' in await page(site)
        for number in range(LOG_ENTRIES + 4):
            site.journal.append(transition_entry(COLD, str(number)), None)
        head = await site.transition(COLD, "last")
        assert f'data-since="{head - LOG_ENTRIES}"' in await page(site)


@pytest.mark.parametrize("path", ["/status", "/api/status", "/api/nothing", "/static/status.js", "/api/events", "/"])
async def test_security_headers_are_on_every_answer(site: Site, path: str) -> None:
    async with site.client.get(path, allow_redirects=False) as response:
        assert response.headers["Content-Security-Policy"] == (
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
            "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"


async def test_the_root_leads_to_the_page(site: Site) -> None:
    async with site.client.get("/?lang=zh") as response:
        assert response.url.path_qs == "/status?lang=zh"
