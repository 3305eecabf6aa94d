"""Registers this server at comfywarm daemons at every heartbeat. Off unless $COMFYWARM_DAEMON names a daemon."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp  # a dependency of ComfyUI itself
from server import PromptServer

from . import comfy

DAEMON, TOKEN, ADDRESS, LABELS = "COMFYWARM_DAEMON", "COMFYWARM_TOKEN", "COMFYWARM_ADDRESS", "COMFYWARM_LABELS"
CA_FILE = "COMFYWARM_CA_FILE"
HEARTBEAT_S = 15.0
"""The pause until a daemon has said another one."""

RETRY_BASE_S, RETRY_LIMIT_S = 1.0, 30.0
TIMEOUT_S = 10.0
START_POLL_S = 0.2
MAX_ANSWER = 65_536
OK = 200
DEFAULT_PORTS = {"http": 80, "https": 443}

log = logging.getLogger("comfywarm")


class RefusedError(Exception):
    """The daemon did not accept the registration. The message is logged."""


class Registration:
    """The registration of this server at one daemon, whose URL has no trailing slash."""

    def __init__(self, daemon: str, environ: Mapping[str, str]) -> None:
        self._daemon = daemon.rstrip("/")
        self._token = environ.get(TOKEN, "")
        self._address = environ.get(ADDRESS, "")
        self._labels = labels_of(environ.get(LABELS, ""))
        self._ca_file = environ.get(CA_FILE) or None
        self._failures = 0
        self._is_registered = False

    async def run(self) -> None:
        """Register at every heartbeat until cancelled. The first failure of several is logged, and their end."""
        if not is_url(self._daemon):
            log.error("comfywarm: %s has %r, which is not a URL such as http://192.0.2.5:8799", DAEMON, self._daemon)
            return
        pause_s = START_POLL_S
        while True:
            await asyncio.sleep(pause_s)
            if _listens():
                pause_s = await self._beat()

    async def _beat(self) -> float:
        """Register once; return the seconds until the next time."""
        try:
            heartbeat_s = await self._register()
        except (aiohttp.ClientError, OSError, ValueError, RefusedError, asyncio.TimeoutError) as error:
            if self._failures == 0:
                log.warning(
                    "comfywarm: cannot register at %s, trying again: %s", self._daemon, str(error) or repr(error)
                )
            self._failures += 1
            self._is_registered = False
            return min(RETRY_LIMIT_S, RETRY_BASE_S * 2.0 ** min(self._failures - 1, 10))
        if not self._is_registered:
            log.info("comfywarm: registered at %s", self._daemon)
        self._failures, self._is_registered = 0, True
        return heartbeat_s

    async def _register(self) -> float:
        body = {"address": self._address or await own_address(self._daemon), "labels": self._labels}
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        tls = await asyncio.to_thread(self._tls)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session:
            url = f"{self._daemon}/api/register"
            async with session.post(url, json=body, headers=headers, allow_redirects=False, ssl=tls) as response:
                answer = await _body(response)
                if response.status != OK:
                    raise RefusedError(f"status {response.status}: {_reason(answer)}")
                return _heartbeat_s(json.loads(answer))

    def _tls(self) -> ssl.SSLContext | bool:
        """Return a context that trusts the system's CAs and those of the file. Blocks."""
        if self._ca_file is None or not self._daemon.lower().startswith("https:"):
            return True
        context = ssl.create_default_context()
        context.load_verify_locations(self._ca_file)
        return context


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER:
            raise RefusedError(f"the answer is larger than {MAX_ANSWER} bytes")
    return bytes(body)


def _reason(answer: bytes) -> str:
    """Return the message of the daemon's error, or the text of the answer."""
    try:
        return str(json.loads(answer)["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return answer[:300].decode("utf-8", "replace")


def is_url(daemon: str) -> bool:
    """Return whether this is the URL of a daemon."""
    try:
        parts = urlsplit(daemon)
        return parts.scheme in DEFAULT_PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _listens() -> bool:
    return isinstance(getattr(PromptServer.instance, "port", None), int)


def _heartbeat_s(answer: Any) -> float:
    """Return the interval that the daemon wants, within bounds."""
    wanted = answer.get("heartbeat_s") if isinstance(answer, dict) else None
    return min(3600.0, max(0.05, float(wanted))) if isinstance(wanted, (int, float)) else HEARTBEAT_S


def labels_of(text: str) -> dict[str, str]:
    """Return the labels in NAME=VALUE,NAME=VALUE."""
    pairs = (part.partition("=") for part in text.split(",") if "=" in part)
    return {name.strip(): value.strip() for name, _, value in pairs}


async def own_address(daemon: str) -> str:
    """Return the URL at which the daemon reaches this server: the interface towards it, and ComfyUI's port.

    Raises RefusedError if ComfyUI does not listen there.
    """
    host = await asyncio.to_thread(_local_host, daemon)
    require_listening(host)
    scheme = "https" if comfy.serves_https() else "http"
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{PromptServer.instance.port}"


def require_listening(host: str) -> None:
    """Raise RefusedError if ComfyUI does not listen at this address, because only its own machine reaches it."""
    if comfy.listens_on_loopback_only() and not comfy.is_loopback(host):
        raise RefusedError(f"ComfyUI listens only on this machine; start it with --listen, or set {ADDRESS}")


def _local_host(daemon: str) -> str:
    """Return the address of the interface towards the daemon. Sends nothing."""
    parts = urlsplit(daemon)
    port = parts.port or DEFAULT_PORTS.get(parts.scheme, 80)
    found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_DGRAM)
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.connect(address)
        return str(probe.getsockname()[0]).partition("%")[0]


def daemons(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return the URLs of the daemons, which commas separate."""
    return [one.strip() for one in environ.get(DAEMON, "").split(",") if one.strip()]
