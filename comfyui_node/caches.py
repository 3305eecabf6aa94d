"""The cached keys: those in this package's own cache and those in Inspire-Pack's, where it is installed."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from . import comfy


class ModelCache:
    """A thread-safe map from key to data. ComfyUI's worker thread writes it; the event loop reads it."""

    def __init__(self) -> None:
        self._data: dict[str, Any] = {}
        self._losses: Counter[str] = Counter()
        self._changes: Counter[str] = Counter()
        self._lock = threading.Lock()

    def put(self, key: str, data: Any) -> None:
        """Store `data` under `key`, replacing any previous value."""
        with self._lock:
            self._data[key] = data
            self._changes[key] += 1

    def get(self, key: str) -> Any:
        """Return the data stored under `key`. Raises KeyError."""
        with self._lock:
            return self._data[key]

    def drop(self, key: str) -> None:
        """Remove one key, or every key if `key` is `*`."""
        with self._lock:
            for lost in list(self._data) if key == "*" else [key]:
                if lost in self._data:
                    del self._data[lost]
                    self._losses[lost] += 1
                    self._changes[lost] += 1

    def losses(self, key: str) -> int:
        """Return how often the key was removed."""
        return self._losses[key]

    def changes(self, key: str) -> int:
        """Return how often the key was stored or removed."""
        return self._changes[key]

    def keys(self) -> list[str]:
        """Return the keys, oldest first."""
        with self._lock:
            return list(self._data)

    def items(self) -> dict[str, Any]:
        """Return the data under each key."""
        with self._lock:
            return dict(self._data)


OWN = ModelCache()


def present_keys() -> list[str] | None:
    """Return every cached text key, sorted, or None while Inspire-Pack's cache is being modified."""
    inspire = comfy.inspire_keys()
    return None if inspire is None else sorted({*OWN.keys(), *inspire})


def cached_data() -> dict[str, Any]:
    """Return the data under every cached text key."""
    return {**comfy.inspire_data(), **OWN.items()}
