"""What a frame of the companion node means for the keys that were asked for."""

from statemachine.core.events import CacheReported, NodeCursor
from statemachine.core.levels import NO_PLACES, keys_below
from statemachine.core.server import CacheChange, Server


def cache_change(event: CacheReported, known: NodeCursor, server: Server) -> CacheChange:
    """Return what a newer frame means. A gap in the numbers is a lost frame, except after a reconnect.

    A frame that does not report every model below its wanted level says nothing about the others.
    """
    places = event.places or NO_PLACES
    if known.sequence is not None and event.sequence > known.sequence + 1:
        return CacheChange.MAYBE_LOST
    if known.lacks(event.present):
        return CacheChange.NOTHING if event.truncated else CacheChange.MAYBE_LOST
    if keys_below(places, known.wanted):
        return CacheChange.MAYBE_LOST
    return CacheChange.COMPLETE if set(server.below) <= set(places) else CacheChange.NOTHING
