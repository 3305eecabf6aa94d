"""Apprise services by URL.

Importing this module imports apprise, which takes 40 MB, so it is imported only if alerts are set.
"""

import logging

from apprise import Apprise, AppriseAsset, NotifyBase

# Their warnings and debug lines hold tokens and whole URLs. comfywarm reports failures itself, without them.
for _name in ("apprise", "urllib3"):
    logging.getLogger(_name).propagate = False


def new_asset() -> AppriseAsset:
    """Return apprise's options: no files, keys, remote images or redirects, and no time limits of its own."""
    return AppriseAsset(
        service_timeout=0,
        app_id="comfywarm",
        app_desc="comfywarm",
        app_url="",
        image_url_mask=None,
        image_url_logo=None,
        async_mode=False,
        http_redirects=False,
        pgp_autogen=False,
        pem_autogen=False,
    )


def service_of(url: str) -> NotifyBase | None:
    """Return the service of a URL, or None if apprise does not accept it."""
    try:
        return Apprise.instantiate(url, asset=new_asset())
    except Exception:  # a plug-in's own parser may raise anything for arbitrary text
        return None


def is_understood(url: str) -> bool:
    """Whether apprise knows the URL's service and the URL is complete."""
    return service_of(url) is not None
