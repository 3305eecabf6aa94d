"""Which failures make a server unreachable."""

from collections.abc import Mapping
from typing import cast

import pytest

from statemachine.comfyui.errors import ConnectRefusedError, NotAnsweringError
from statemachine.core import events as e
from statemachine.core.server import Server
from statemachine.core.vocabulary import State
from statemachine.fleet.reachability import OutageGuard, WatchedTransport
from tests.comfyui_client.fakes import IDLE, FakeTransport, Scripted
from tests.core.builders import MACHINE, driver_in

HANGS = NotAnsweringError("no answer in 10 s")
REFUSES = ConnectRefusedError("connection refused")


class NoOutage:
    """An outage guard that holds nothing."""

    holds = False

    def observe(self, server: Server, *, answered: bool) -> None:
        """Ignore the observation."""


async def state_after(state: State, replies: Mapping[str, Scripted], requests: int) -> tuple[State, list[str]]:
    """Ask for a prompt's history; return the server's state and the requests."""
    server, inner = driver_in(state).server, FakeTransport(replies)

    def post(event: e.Event) -> None:
        MACHINE.apply(server, event, 2_000.0)

    watched = WatchedTransport(inner, server, cast(OutageGuard, NoOutage()), post)
    for _ in range(requests):
        with pytest.raises(NotAnsweringError):
            await watched.request("GET", "/history/ours")
    return server.state, inner.requests


@pytest.mark.parametrize("state", [State.SUBMITTING, State.WARMING])
async def test_route_that_hangs_alone_during_a_lookup_is_no_absence(state: State) -> None:
    """The server would otherwise be unreachable, answer the probe, and be looked up again."""
    reached, requests = await state_after(state, {"/history/ours": HANGS, "/prompt": IDLE}, 9)
    assert reached is state
    assert requests.count("/prompt") == 3


async def test_server_that_hangs_during_a_lookup_is_unreachable() -> None:
    reached, requests = await state_after(State.WARMING, {"/history/ours": HANGS, "/prompt": HANGS}, 3)
    assert reached is State.UNREACHABLE
    assert requests == ["/history/ours"] * 3 + ["/prompt"]


@pytest.mark.parametrize(("state", "error"), [(State.WARMING, REFUSES), (State.CHECKING, HANGS)])
async def test_other_failures_count_at_once(state: State, error: NotAnsweringError) -> None:
    reached, requests = await state_after(state, {"/history/ours": error, "/prompt": IDLE}, 3)
    assert (reached, requests) == (State.UNREACHABLE, ["/history/ours"] * 3)
