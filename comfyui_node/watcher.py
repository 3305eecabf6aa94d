"""Detects changes to the cache and sends a small frame for each to all /ws clients.

ComfyUI and Inspire-Pack publish no such event, and hooks into their internals would break with the next release. So
the watcher polls in ComfyUI's event loop, every few milliseconds, at a cost of some microseconds.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from typing import Any

from . import comfy
from .caches import present_keys

FRAME = "comfywarm.cache"
POLL_INTERVAL_S = 0.02
MAX_KEYS = 500
"""Most keys in a frame. A frame that leaves some out has `truncated` set."""

log = logging.getLogger("comfywarm")


class Watcher:
    """The keys found by the last poll, with this server process's `instance` id and its last frame's `sequence`."""

    def __init__(self) -> None:
        self.instance = uuid.uuid4().hex
        self.sequence = 0
        self.changes = 0
        """How often `keys` has changed."""
        self.keys: list[str] = present_keys() or []
        self._models = comfy.loaded_bytes()

    async def watch(self) -> None:
        """Poll until cancelled. The first poll that fails is logged; polling continues."""
        logged = False
        while True:
            try:
                self.poll()
            except Exception:
                if not logged:
                    log.exception("comfywarm cannot read the caches; it keeps trying")
                logged = True
            await asyncio.sleep(POLL_INTERVAL_S)

    def poll(self) -> None:
        """Compare the caches with the last poll and send a frame if they differ. Call in the event loop only."""
        keys = present_keys()
        if keys is None:
            return
        before, self.keys = self.keys, keys
        unloaded = self._has_unloaded()
        if keys != before:
            self.changes += 1
            self.send(_change(before, keys))
        elif unloaded:
            self.send("unloaded")

    def send(self, change: str) -> None:
        """Send a frame with the current keys."""
        self.sequence += 1
        data: dict[str, Any] = {"comfywarm": 1, "instance": self.instance, "sequence": self.sequence, "change": change}
        data["present"] = self.keys[:MAX_KEYS]
        if len(self.keys) > MAX_KEYS:
            data["truncated"] = True
        comfy.send(FRAME, data)

    def _has_unloaded(self) -> bool:
        """Return whether any model uses less memory than at the last poll."""
        before, self._models = self._models, comfy.loaded_bytes()
        return any(self._models.get(model, 0) < loaded for model, loaded in before.items())


def _change(before: list[str], after: list[str]) -> str:
    if not after:
        return "cleared"
    return "evicted" if set(before) - set(after) else "loaded"
