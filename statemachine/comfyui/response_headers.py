"""What a response's headers mean: when to ask again, which credentials to send, and where a sign-in is."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import pairwise
from urllib.parse import SplitResult, urlsplit

SIGN_IN_WORDS = frozenset({
    "adfs", "auth", "authelia", "authenticate", "authentication", "authentik", "authorise", "authorize", "cas",
    "goauthentik", "idp", "login", "logon", "oauth", "oauth2", "oidc", "openid", "saml", "saml2", "signin", "signon",
    "sso",
})  # fmt: skip
"""Words of a path segment that leads to a sign-in."""

MINOR_WORDS = frozenset({
    "aad", "account", "accounts", "action", "admin", "api", "app", "asp", "aspx", "authorized", "callback", "cgi",
    "check", "connect", "default", "do", "external", "flow", "form", "gateway", "htm", "html", "index", "io", "jsf",
    "jsp", "member", "outpost", "page", "php", "portal", "process", "proxy", "redirect", "request", "required",
    "screen", "server", "service", "services", "start", "ui", "user", "users", "view", "web", "wp",
})  # fmt: skip
"""Words that may stand beside them, as in `oauth2-proxy` or `LoginPage.html`. Any other makes a segment a name."""

_JOINED_WORDS = frozenset(first + second for first in SIGN_IN_WORDS for second in MINOR_WORDS)

SESSION_SEGMENTS = frozenset({"session", "sessions", "user_session", "user_sessions"})
"""Segments that lead to a sign-in if `new` follows, as in Rails."""

SIGN_IN_HOSTS = SIGN_IN_WORDS | {"accounts", "cloudflareaccess"}
"""Labels of host names that serve only a sign-in."""

ACCESS_PATH = "/cdn-cgi/access/"
"""Cloudflare Access."""

_SECONDS = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?", re.ASCII)
"""RFC 9110 allows digits only; some servers send a fraction, or a negative number for a time that has passed."""


def retry_after_s(value: str, date: str, now: datetime) -> float | None:
    """Return the seconds of a Retry-After header, at least 0; None if it is absent or not understood.

    A date is compared with the answer's own Date header, because the clocks may differ; without one, with `now`.
    """
    if _SECONDS.fullmatch(value.strip()):
        return max(0.0, float(value))
    until = _date(value)
    return max(0.0, (until - (_date(date) or now)).total_seconds()) if until is not None else None


def _date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def auth_schemes(challenge: str) -> tuple[str, ...]:
    """Return the schemes of a WWW-Authenticate header: `Basic realm="x", Bearer` → Basic, Bearer."""
    parts = (part.split() for part in re.sub(r'"[^"]*"', "", challenge).split(","))
    return tuple(dict.fromkeys(words[0] for words in parts if words and "=" not in words[0]))


def is_sign_in(location: str, requested: str = "") -> bool:
    """Return whether a redirect of the URL `requested` to `location` leads to a sign-in page.

    Whole segments of the path are compared, and labels of the host name: `/users/sign_in` and `login.example`, but not
    `/authors/login-free`. What the requested URL has too is not a sign of it, as with a redirect to https. The query is
    ignored, because it may name the page to return to.
    """
    try:
        parts, asked = urlsplit(location.lower()), urlsplit(requested.lower())
        labels = _labels(parts) - _labels(asked)
    except ValueError:
        return False
    path = f"{parts.path}/{parts.fragment}"
    segments = [segment for segment in path.split("/") if segment]
    own = set(asked.path.split("/"))
    return (
        ACCESS_PATH in path
        or any(_is_sign_in_segment(segment) for segment in segments if segment not in own)
        or any(first in SESSION_SEGMENTS and second == "new" for first, second in pairwise(segments))
        or not SIGN_IN_HOSTS.isdisjoint(labels)
    )


def _labels(url: SplitResult) -> set[str]:
    return set((url.hostname or "").split("."))


def _is_sign_in_segment(segment: str) -> bool:
    """Return whether a sign-in word is in it, whole or in two parts as in `sign-in`, and only minor words beside it."""
    words = [word for word in re.split(r"[-_~.!]", segment) if word]
    kinds = {_kind_of(word) for word in [*words, *(first + second for first, second in pairwise(words))]}
    minor = all(_kind_of(word) for word in words)
    joined = re.sub(r"[-_~]", "", segment.partition(".")[0])
    return "sign-in" in kinds and (minor or _kind_of(joined) == "sign-in")


def _kind_of(word: str) -> str | None:
    """Return whether a word is of a sign-in, as `loginpage` is too, or minor."""
    if word in SIGN_IN_WORDS or word in _JOINED_WORDS:
        return "sign-in"
    return "minor" if word in MINOR_WORDS or word.isdecimal() else None
