"""What is cached under which key: this package's own cache, and Inspire-Pack's where it is installed."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from . import comfy


class ModelCache:
    """Key → (tag, data). Written by ComfyUI's worker thread, read by its loop."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[str, Any]] = {}
        self._losses: Counter[str] = Counter()
        self._changes: Counter[str] = Counter()
        self._lock = threading.Lock()

    def put(self, key: str, tag: str, data: Any) -> None:
        """Keep `data` under `key`, in place of what was there."""
        with self._lock:
            self._held[key] = (tag, data)
            self._changes[key] += 1

    def get(self, key: str) -> Any:
        """What is kept under `key`; KeyError where nothing is."""
        with self._lock:
            return self._held[key][1]

    def drop(self, key: str) -> None:
        """Forget one key; `*` stands for all."""
        with self._lock:
            for lost in list(self._held) if key == "*" else [key]:
                if self._held.pop(lost, None) is not None:
                    self._losses[lost] += 1
                    self._changes[lost] += 1

    def losses(self, key: str) -> int:
        """How often the key was lost. The executor runs a node that keeps again when this has changed."""
        return self._losses[key]

    def changes(self, key: str) -> int:
        """How often the key was lost or kept anew. The executor runs a node that gives again when this has changed."""
        return self._changes[key]

    def keys(self) -> list[str]:
        """The keys, oldest first."""
        with self._lock:
            return list(self._held)


OWN = ModelCache()


def present_keys() -> list[str] | None:
    """Every text key that is cached, sorted; None for this moment, while Inspire-Pack's cache is being changed."""
    inspire = comfy.inspire_keys()
    return None if inspire is None else sorted({*OWN.keys(), *inspire})
