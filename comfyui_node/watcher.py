"""Detects changes to the cache and sends a small frame for each to all /ws clients.

ComfyUI and Inspire-Pack publish no such event, and hooks into their internals would break with the next release. So
the watcher polls in ComfyUI's event loop, every few milliseconds, at a cost of some microseconds.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from . import comfy
from .caches import cached_data, present_keys
from .levels import places_of
from .settling import SettledLevels
from .worker import Worker

FRAME = "comfywarm.cache"
POLL_INTERVAL_S = 0.02
LEVELS_INTERVAL_S = 0.5
MEMORY_FRAMES_S = 1.0
"""Least time between two frames about memory alone, which may change many times a second while a prompt runs."""

MAX_KEYS = 500
"""Most keys in a frame. A frame that leaves some out has `truncated` set."""

log = logging.getLogger("comfywarm")


class Watcher:
    """The keys found by the last poll, with this server process's `instance` id and its last frame's `sequence`."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self.instance = uuid.uuid4().hex
        self.sequence = 0
        self.changes = 0
        """How often `keys` has changed."""
        self.keys: list[str] = present_keys() or []
        self._models = comfy.loaded_bytes()
        self._levels = SettledLevels()
        self.worker = Worker()
        self._looked_at = self._memory_sent_at = -math.inf
        self._unsent: str | None = None

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
        self.worker.look()
        keys = present_keys()
        if keys is None:
            return
        before, self.keys = self.keys, keys
        now = self._now()
        if keys != before:
            self.look_at_levels()
        unloaded, moved = self._has_unloaded(), self._have_levels_changed(now)
        self._unsent = "levels" if moved else self._unsent or ("unloaded" if unloaded else None)
        if keys != before:
            self.changes += 1
            self.send(_change(before, keys))
        elif self._unsent is not None and now - self._memory_sent_at >= MEMORY_FRAMES_S:
            self._memory_sent_at = now
            self.send(self._unsent)

    def look_at_levels(self) -> None:
        """Look where the models are at the next poll."""
        self._looked_at = -math.inf

    def levels_of(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the levels of those of `keys` whose models ComfyUI counts."""
        places = self._levels.places
        return {key: places[key].as_json() for key in keys if key in places}

    def send(self, change: str) -> None:
        """Send a frame with the current keys, and with the levels where there are any."""
        self._unsent = None
        self.sequence += 1
        data: dict[str, Any] = {"comfywarm": 1, "instance": self.instance, "sequence": self.sequence, "change": change}
        data["present"] = self.keys[:MAX_KEYS]
        if len(self.keys) > MAX_KEYS:
            data["truncated"] = True
        if levels := self.levels_of(data["present"]):
            data["levels"] = levels
        comfy.send(FRAME, data)

    def _have_levels_changed(self, now: float) -> bool:
        """Look where the models are, rarely, and return whether a settled level has changed."""
        if now - self._looked_at < LEVELS_INTERVAL_S:
            return False
        self._looked_at = now
        return self._levels.update(places_of(cached_data()), now)

    def _has_unloaded(self) -> bool:
        """Return whether any model uses less memory than at the last poll."""
        before, self._models = self._models, comfy.loaded_bytes()
        return any(self._models.get(model, 0) < loaded for model, loaded in before.items())


def _change(before: list[str], after: list[str]) -> str:
    if not after:
        return "cleared"
    return "evicted" if set(before) - set(after) else "loaded"
