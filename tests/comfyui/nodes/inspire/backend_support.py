"""A process-wide cache like Inspire-Pack's: key → (tag, data). The executor has a separate cache.

As in Inspire-Pack, a node that removes all keys replaces `cache`, so read it from this module each time.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

Entry = tuple[str, object]

TAG_LIMIT = 50
"""Entries under one tag; Inspire-Pack has 5, 20 or 100 by the tag. A further entry evicts the oldest."""


class TaggedCache:
    """One mapping per tag, in `_data`. As in Inspire-Pack, it has `items()` but no `__iter__`."""

    def __init__(self, entries: Iterable[tuple[str, Entry]] = ()) -> None:
        self._data: dict[str, dict[str, Entry]] = {}
        for key, entry in entries:
            self[key] = entry

    def __getitem__(self, key: str) -> Entry:
        for entries in self._data.values():
            if key in entries:
                return entries[key]
        raise KeyError(key)

    def __setitem__(self, key: str, entry: Entry) -> None:
        for entries in self._data.values():
            entries.pop(key, None)
        tagged = self._data.setdefault(entry[0], {})
        tagged[key] = entry
        if len(tagged) > TAG_LIMIT:
            del tagged[next(iter(tagged))]

    def __delitem__(self, key: str) -> None:
        for entries in self._data.values():
            if key in entries:
                del entries[key]
                return
        raise KeyError(key)

    def __contains__(self, key: str) -> bool:
        return any(key in entries for entries in self._data.values())

    def items(self) -> Iterator[tuple[str, Entry]]:
        return chain.from_iterable(entries.items() for entries in self._data.values())

    def clear(self) -> None:
        self._data = {}


cache = TaggedCache()


def replace_by_empty() -> None:
    """Replace the cache, as Inspire-Pack's node RemoveBackendData does for the key `*`."""
    global cache  # noqa: PLW0603
    cache = TaggedCache()
