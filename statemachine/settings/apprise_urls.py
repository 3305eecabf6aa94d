"""Services of apprise, from their URLs. Importing this imports apprise, which is large: only where alerts are set."""

import logging

from apprise import Apprise, AppriseAsset, NotifyBase

# Their warnings and debug lines hold tokens and whole URLs; what went wrong is told by ourselves, without them.
for _name in ("apprise", "urllib3"):
    logging.getLogger(_name).propagate = False


def new_asset() -> AppriseAsset:
    """Apprise as we use it: no files, no keys, no pictures from elsewhere, no redirects, time limits of our own."""
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
    """The service that a URL names, or None where apprise does not understand it."""
    try:
        return Apprise.instantiate(url, asset=new_asset())
    except Exception:  # a plug-in's own parser, given anything that a person may write
        return None


def is_understood(url: str) -> bool:
    """Whether apprise knows the URL's service and all that the service must know is there."""
    return service_of(url) is not None
