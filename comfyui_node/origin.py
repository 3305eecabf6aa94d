"""Recognises requests that pages of other sites make a browser send."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy

OWN_SITES = ("same-origin", "none")
"""Values of Sec-Fetch-Site for ComfyUI's own page and for an address that the user entered. `same-site` is not among
them: a page on another port of this host, or of another host of the same domain, has it."""

DEFAULT_PORTS = {"http": 80, "https": 443}
SHOWN = 100
"""Characters of a header that an error quotes."""


class ForeignPageError(ValueError):
    """A page of another site sent the request. The message is shown to the client."""

    def __init__(self, header: str, values: Sequence[str]) -> None:
        found = repr(", ".join(values)[:SHOWN])
        super().__init__(
            f"refused: a page of another site sent this request ({header}: {found}); send it without a page"
        )


def refuse_foreign_pages(headers: CIMultiDictProxy[str]) -> None:
    """Raise ForeignPageError if a browser marks the request as one of another site's page.

    Programs send neither header; browsers let no page change or omit them.
    """
    sites, origins = headers.getall("Sec-Fetch-Site", []), headers.getall("Origin", [])
    if any(site.strip().lower() not in OWN_SITES for site in sites):
        raise ForeignPageError("Sec-Fetch-Site", sites)
    hosts = headers.getall("Host", [])
    if origins and not (len(hosts) == 1 and all(_is_of(origin, hosts[0]) for origin in origins)):
        raise ForeignPageError("Origin", origins)


def _is_of(origin: str, host: str) -> bool:
    """Return whether the origin is of this host and port; `null` and what is not an origin are of none."""
    try:
        page = urlsplit(origin)
        default = DEFAULT_PORTS[page.scheme]
        own = urlsplit(f"{page.scheme}://{host}")
        same_port = (page.port or default) == (own.port or default)
    except (KeyError, ValueError):
        return False
    return bool(page.hostname) and page.hostname == own.hostname and same_port
