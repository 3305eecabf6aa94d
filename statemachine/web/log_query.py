"""Which events a request wants: the query that GET /api/log and GET /api/events have in common."""

from functools import partial
from http import HTTPStatus

from aiohttp import web

from statemachine.core.log_entry import REASON_CODES, STATE_NAMES, LogFilter
from statemachine.core.vocabulary import State
from statemachine.journal.store import JournalStore
from statemachine.web.ports import WebPorts
from statemachine.web.responses import ApiError

MAX_NUMBER_DIGITS = 18
HIGHEST_NUMBER = 10**MAX_NUMBER_DIGITS - 1


async def wanted_events(request: web.Request, ports: WebPorts) -> LogFilter:
    """`server`, `group`, `state` and `reason`, each as often as one likes; ApiError where one is none that there is."""
    states = _known(request, "state", STATE_NAMES)
    reasons = _known(request, "reason", REASON_CODES)
    servers, groups = frozenset(request.query.getall("server", ())), frozenset(request.query.getall("group", ()))
    for group in sorted(groups - {view.group for view in ports.snapshot}):
        raise ApiError(HTTPStatus.NOT_FOUND, "unknown_group", f"there is no group named {group}")
    for name in sorted(servers):
        await _check_server(name, ports)
    return LogFilter(servers, groups, frozenset(map(State, states)), frozenset(reasons))


async def _check_server(name: str, ports: WebPorts) -> None:
    """One that has left the fleet still has a past."""
    known = ports.snapshot.get(name) is not None or await ports.journal.read(
        partial(JournalStore.has_server, name=name)
    )
    if not known:
        raise ApiError(HTTPStatus.NOT_FOUND, "unknown_server", f"there is no server named {name}")


def _known(request: web.Request, name: str, allowed: tuple[str, ...]) -> list[str]:
    values = request.query.getall(name, [])
    for value in values:
        if value not in allowed:
            message = f"{name} must be one of {', '.join(allowed)}, not {value[:50]!r}"
            raise ApiError(HTTPStatus.BAD_REQUEST, f"invalid_{name}", message)
    return values


def event_number(text: str, name: str, called: str = "") -> int:
    """The number of an event that the query gives by that name; ApiError if it is none."""
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_NUMBER_DIGITS):
        message = f"{called or name} must be the number of an event, 0 or more, not {text[:50]!r}"
        raise ApiError(HTTPStatus.BAD_REQUEST, f"invalid_{name}", message)
    return int(text)
