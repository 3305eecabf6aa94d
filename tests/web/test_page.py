"""The page: its texts in both languages, its files and its security headers."""

import json
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from statemachine import web
from statemachine.core.server import Outcome
from statemachine.core.vocabulary import Notice, Reason, Source, State
from statemachine.i18n.page import LABELS
from statemachine.i18n.reasons import NOTICES, REASONS
from statemachine.i18n.render import page_texts
from statemachine.i18n.states import OUTCOMES, SOURCES, STATES
from statemachine.i18n.text import LANGUAGES
from statemachine.web.page import CLASSIC_SCRIPTS, DISPLAY_ORDER, ICONS, LOG_ENTRIES, SORTS, STATIC_DIR, static_files
from tests.web.site import COLD, Site, running_site, transition_entry

WEB = Path(web.__file__).parent
# Which of the two names a script has is the system's choice; browsers take both.
CONTENT_TYPES = {
    "js": {"text/javascript", "application/javascript"},
    "css": {"text/css"},
    "svg": {"image/svg+xml"},
}
SCRIPTS = [STATIC_DIR / name for name in static_files(".js")]
SHEETS = [STATIC_DIR / name for name in static_files(".css")]
TEMPLATE = (WEB / "templates/status.html").read_text(encoding="utf-8")
SOURCE = TEMPLATE + "".join(script.read_text(encoding="utf-8") for script in SCRIPTS)
MADE_UP = r"theme_\w+|why_\w+|source_\w+|drawer_\w+|window_\w+|confirm_\w+|error_\w+|pause_\w+|token_\w+|restart_\w+"
"""Labels whose keys are composed where they are used."""


async def page(site: Site, query: str = "", accept: str | None = None, path: str = "/status") -> str:
    headers = {"Accept-Language": accept} if accept else {}
    async with site.client.get(f"{path}{query}", headers=headers) as response:
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
async def test_page_language_follows_query_header_and_settings(
    site: Site, query: str, accept: str | None, language: str
) -> None:
    html = await page(site, query, accept)
    assert f'data-language="{language}"' in html
    heading = {"en": "Event log", "zh": "事件日志"}[language]
    assert f'<h2 id="log-title" data-text="log">{heading}</h2>' in html


async def test_page_names_auto_executing_in_both_languages(site: Site) -> None:
    assert '<span data-state-text="auto_executing">后台执行中</span>' in await page(site, "?lang=zh")
    assert '<span data-state-text="auto_executing">Loading itself</span>' in await page(site, "?lang=en")


def test_vocabulary_is_translated_completely() -> None:
    assert set(STATES) == set(State) == set(DISPLAY_ORDER)
    assert set(REASONS) == set(Reason)
    assert set(NOTICES) == set(Notice)
    assert set(SOURCES) == set(Source)
    assert set(OUTCOMES) == set(Outcome)


@pytest.mark.parametrize("group", ["state", "reason", "notice", "source", "outcome", "label"])
def test_texts_have_same_keys_and_places_in_both_languages(group: str) -> None:
    english, chinese = (page_texts()[language][group] for language in LANGUAGES)
    assert english.keys() == chinese.keys()
    for key, words in english.items():
        assert words.replace("…", "").isascii(), key
        assert chinese[key], key
        places = [sorted(re.findall(r"\{\w+\}", text)) for text in (words, chinese[key])]
        assert places[0] == places[1], key
        assert not chinese[key].isascii() or re.fullmatch(r"(\{\w+\} ?)+", chinese[key]), key


def test_every_state_has_icon_and_colours() -> None:
    style = "".join(sheet.read_text(encoding="utf-8") for sheet in SHEETS)
    assert len({ICONS[state.value] for state in State}) == len(State)
    for state in State:
        assert f'[data-state="{state.value}"] {{ --state: var(--{state.value}); }}' in style
        assert re.search(rf"^\s+--{state.value}: light-dark\(#\w+, #\w+\);", style, re.MULTILINE)


def test_every_used_css_variable_is_defined() -> None:
    style = "".join(sheet.read_text(encoding="utf-8") for sheet in SHEETS)
    assert set(re.findall(r"var\((--[\w-]+)\)", style)) <= set(re.findall(r"(--[\w-]+):", style))


def test_labels_equal_the_labels_used_on_the_page() -> None:
    in_scripts = re.findall(r"""(?:label|setLabel)\((?:\w+, )?"(\w+)\"""", SOURCE)
    in_template = re.findall(r"""t\['(\w+)'\]""", SOURCE)
    assert {*in_scripts, *in_template} <= set(LABELS)
    assert len(in_scripts) > 30
    assert len(in_template) > 30
    for name in LABELS:
        assert re.search(rf"""["'\s]{name}["':\s]""", SOURCE) or re.fullmatch(MADE_UP, name), f"{name} is never used"


async def test_rendered_page_uses_only_existing_labels(site: Site) -> None:
    html = await page(site)
    named = set(re.findall(r'data-(?:text|title|placeholder|aria-label)="(\w+)"', html))
    assert named <= set(LABELS)


async def test_every_element_that_scripts_look_up_exists(site: Site) -> None:
    wanted = set(re.findall(r'(?:byId|cloneTemplate)\("([\w-]+)"\)', SOURCE))
    html = await page(site)
    there = set(re.findall(r'\bid="([\w-]+)"', html))
    assert len(wanted) > 30
    assert wanted <= there


async def test_sortable_columns_have_button(site: Site) -> None:
    html = await page(site)
    assert re.findall(r'class="sort" data-sort="(\w+)"', html) == list(SORTS.values())


async def test_page_embeds_texts_as_json(site: Site) -> None:
    html = await page(site)
    (data,) = re.findall(r'<script type="application/json" id="texts">(.*?)</script>', html)
    assert json.loads(data) == page_texts()


async def test_page_has_no_inline_or_external_code(site: Site) -> None:
    html = await page(site)
    scripts = re.findall(r"<script\b([^>]*)>", html)
    assert scripts == [
        ' src="static/ui/theme_boot.js"',
        ' type="application/json" id="texts"',
        ' type="module" src="static/main.js"',
    ]
    markup = re.sub(r'(<script type="application/json"[^>]*>).*?</script>', r"\1", html, flags=re.DOTALL)
    assert not re.search(r"<style|\sstyle=|\son\w+=|https?://|src=\"//", markup)
    assert "built-in method" not in html


@pytest.mark.parametrize(("language", "says"), [("en", "the server does not answer"), ("zh", "服务器没有应答")])
async def test_docs_have_every_word_with_its_meaning(site: Site, language: str, says: str) -> None:
    html = await page(site, f"?lang={language}", path="/docs")
    words = {word.value for words in (State, Reason, Notice) for word in words}
    assert words <= set(re.findall(r'<div id="(\w+)">', html))
    assert says in html
    assert not re.search(r"<style|\sstyle=|\son\w+=|https?://|src=\"//", html)


def test_scripts_write_no_markup_or_styles_as_text() -> None:
    scripts = "".join(script.read_text(encoding="utf-8") for script in SCRIPTS)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|cssText|\"style\"", scripts)


async def test_every_page_file_is_served(site: Site) -> None:
    html = await page(site) + await page(site, path="/docs")
    wanted = set(re.findall(r'(?:src|href)="(static/[^"]+)"', html))
    wanted |= {f"static/{path.relative_to(STATIC_DIR).as_posix()}" for path in imported(SCRIPTS)}
    assert wanted >= {f"static/{path.relative_to(STATIC_DIR).as_posix()}" for path in (*SCRIPTS, *SHEETS)}
    for path in sorted(wanted):
        async with site.client.get(f"/{path}") as response:
            assert response.status == 200, path
            assert response.content_type in CONTENT_TYPES[path.rpartition(".")[2]]


async def test_every_module_is_preloaded(site: Site) -> None:
    html = await page(site)
    preloaded = set(re.findall(r'<link rel="modulepreload" href="static/([^"]+)">', html))
    assert preloaded == set(static_files(".js")) - CLASSIC_SCRIPTS


def test_page_modules_have_no_import_cycle() -> None:
    sorter = TopologicalSorter({script: imported([script]) for script in SCRIPTS})
    assert list(sorter.static_order())[-1] == STATIC_DIR / "main.js"


def imported(scripts: list[Path]) -> set[Path]:
    """Return the modules that these scripts import."""
    return {
        (script.parent / name).resolve()
        for script in scripts
        for name in re.findall(r'from "([^"]+)"', script.read_text(encoding="utf-8"))
    }


async def test_page_log_starts_at_most_100_entries_back(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        assert 'data-since="0"' in await page(site)
        for number in range(LOG_ENTRIES + 4):
            site.journal.append(transition_entry(COLD, str(number)), None)
        head = await site.transition(COLD, "last")
        assert f'data-since="{head - LOG_ENTRIES}"' in await page(site)


async def test_page_without_journal_is_served(site: Site) -> None:
    await site.journal.close()
    assert 'data-since=""' in await page(site)


@pytest.mark.parametrize("path", ["/status", "/api/status", "/api/nothing", "/static/main.js", "/api/events", "/"])
async def test_every_response_has_security_headers(site: Site, path: str) -> None:
    async with site.client.get(path, allow_redirects=False) as response:
        assert response.headers["Content-Security-Policy"] == (
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
            "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"


async def test_root_redirects_to_page_and_keeps_query(site: Site) -> None:
    async with site.client.get("/?lang=zh") as response:
        assert response.url.path_qs == "/status?lang=zh"
