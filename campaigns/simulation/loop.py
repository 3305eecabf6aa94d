"""An event loop whose clock jumps to the next timer as soon as nothing is ready: an hour of waiting takes no time.

`looptime` does the same on top of a real selector; this one never enters the kernel, and days pass by the thousand.
"""

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any

from typing_extensions import override


class NothingToDoError(Exception):
    """Every task waits for something that no timer will bring."""


class VirtualSelector(selectors.BaseSelector):
    """Waiting for files advances the clock instead."""

    def __init__(self) -> None:
        self.now = 0.0
        self._keys: dict[Any, selectors.SelectorKey] = {}

    @override
    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """The loop registers its own pipe, which nobody writes to."""
        key = selectors.SelectorKey(fileobj, fileobj if isinstance(fileobj, int) else fileobj.fileno(), events, data)
        self._keys[fileobj] = key
        return key

    @override
    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """As a selector's."""
        return self._keys.pop(fileobj)

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Let `timeout` seconds pass."""
        if timeout is None:
            raise NothingToDoError
        self.now += timeout
        return []

    @override
    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """As a selector's."""
        return self._keys


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time begins at 0 and costs nothing."""

    def __init__(self) -> None:
        self._virtual = VirtualSelector()
        super().__init__(self._virtual)

    @override
    def time(self) -> float:
        """Seconds of virtual time since the loop was made."""
        return self._virtual.now
