"""What a response's headers say: when to ask again, which credentials to send, and where a sign-in is."""

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import pairwise
from urllib.parse import urlsplit

SIGN_IN_WORDS = frozenset({
    "adfs", "auth", "authelia", "authenticate", "authentication", "authentik", "authorise", "authorize", "cas",
    "goauthentik", "idp", "login", "logon", "oauth", "oauth2", "oidc", "openid", "saml", "saml2", "signin", "signon",
    "sso",
})  # fmt: skip
"""Words of a path that leads to a sign-in, whole or joined by a hyphen or an underscore, as in `oauth2-proxy`."""

SIGN_IN_PREFIXES = ("login", "logon", "signin")
"""Beginnings of such words, as in `LoginPage.html`."""

SIGN_IN_HOSTS = SIGN_IN_WORDS | {"accounts", "cloudflareaccess"}
"""Labels of host names that serve only a sign-in."""

ACCESS_PATH = "/cdn-cgi/access/"
"""Cloudflare Access."""


def retry_after_s(value: str, date: str, now: datetime) -> float | None:
    """Return the seconds of a Retry-After header, at least 0; None if it is absent or not understood.

    A date is compared with the answer's own Date header, because the clocks may differ; without one, with `now`.
    """
    try:
        seconds = float(value)
    except ValueError:
        until = _date(value)
        seconds = (until - (_date(date) or now)).total_seconds() if until is not None else math.nan
    return None if math.isnan(seconds) else max(0.0, seconds)


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


def is_sign_in(location: str) -> bool:
    """Return whether a redirect to `location` leads to a sign-in page.

    Whole words of the path, and labels of the host name, are compared: `/users/sign_in` and `login.example`, but not
    `/author`. The query is ignored, because it may name the page to return to.
    """
    try:
        parts = urlsplit(location.lower())
        host = parts.hostname or ""
    except ValueError:
        return False
    path = f"{parts.path}/{parts.fragment}"
    words = [word for segment in re.split(r"[/.!]", path) for word in _words(segment)]
    return (
        ACCESS_PATH in path
        or any(word in SIGN_IN_WORDS or word.startswith(SIGN_IN_PREFIXES) for word in words)
        or not SIGN_IN_HOSTS.isdisjoint(host.split("."))
    )


def _words(segment: str) -> list[str]:
    """Return the words of a path segment, also two joined: `wp-sign_in` → wp, sign, in, wpsign, signin."""
    words = [word for word in re.split(r"[-_~]", segment) if word]
    return [*words, *(first + second for first, second in pairwise(words))]
