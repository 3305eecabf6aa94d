"""The language of a page: the one that the address names, else the one that the browser prefers."""

from aiohttp import hdrs, web

from statemachine.i18n.text import LANGUAGES, Language
from statemachine.web.route import Parameter

LANGUAGE = Parameter("query", "lang", "en or zh; by default Accept-Language decides, then the settings.")


def requested_language(request: web.Request, default: Language) -> Language:
    """Return the language of `?lang=`, else the preferred one of Accept-Language, else the default."""
    asked = request.query.get("lang", "")
    accepted = _by_quality(request.headers.get(hdrs.ACCEPT_LANGUAGE, ""))
    for tag in (asked, *accepted):
        for language in LANGUAGES:
            if tag.lower().split("-")[0] == language:
                return language
    return default


def _by_quality(header: str) -> list[str]:
    """Return the tags of an Accept-Language header (RFC 9110, section 12.5.4), preferred first, without q=0."""
    ranked = [_tag_and_quality(part) for part in header.split(",")]
    ranked.sort(key=lambda pair: -pair[1])
    return [tag for tag, quality in ranked if quality > 0]


def _tag_and_quality(part: str) -> tuple[str, float]:
    tag, _, parameter = part.partition(";")
    name, _, value = parameter.partition("=")
    try:
        quality = float(value) if name.strip() == "q" else 1.0
    except ValueError:
        quality = 0.0
    return tag.strip(), quality
