"""The queue of events of one server."""

from collections.abc import Callable

from statemachine.core.events import Event


class Mailbox:
    """Hands events to one handler, one after the other and in order.

    An event that arrives before `open`, or while another is being handled, waits. After `close` events are dropped.
    """

    __slots__ = ("_events", "_handle", "_is_busy", "_is_closed")

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._handle: Callable[[Event], None] | None = None
        self._is_busy = False
        self._is_closed = False

    def post(self, event: Event) -> None:
        """Add an event. It is handled before this returns, unless it has to wait."""
        self._events.append(event)
        self._drain()

    def open(self, handle: Callable[[Event], None]) -> None:
        """Start to hand events to `handle`, beginning with those that wait."""
        self._handle = handle
        self._drain()

    def close(self) -> None:
        """Drop every event from now on."""
        self._is_closed = True

    def _drain(self) -> None:
        if self._handle is None or self._is_busy or self._is_closed:
            return
        self._is_busy = True
        try:
            while self._events:
                self._handle(self._events.pop(0))
        finally:
            self._is_busy = False
