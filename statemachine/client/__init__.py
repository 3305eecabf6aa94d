"""Ask a running comfywarm daemon from Python: `Fleet` in asyncio programs, `SyncFleet` in others."""

from statemachine.client.answers import (
    AcceptedAnswer,
    EventAnswer,
    LogAnswer,
    RouteAnswer,
    ServerAnswer,
    SourcesAnswer,
    StatusAnswer,
    WantedAnswer,
)
from statemachine.client.errors import (
    DaemonError,
    DaemonRefusedError,
    DaemonUnavailableError,
    NoneWarmError,
    NotWarmError,
    TokenError,
    UnknownNameError,
)
from statemachine.client.fleet import Fleet
from statemachine.client.sync import SyncFleet

__all__ = [
    "AcceptedAnswer",
    "DaemonError",
    "DaemonRefusedError",
    "DaemonUnavailableError",
    "EventAnswer",
    "Fleet",
    "LogAnswer",
    "NoneWarmError",
    "NotWarmError",
    "RouteAnswer",
    "ServerAnswer",
    "SourcesAnswer",
    "StatusAnswer",
    "SyncFleet",
    "TokenError",
    "UnknownNameError",
    "WantedAnswer",
]
