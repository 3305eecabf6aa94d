"""Builds the rolling restarts of a daemon."""

import time
from collections.abc import Callable, Sequence

from statemachine.core.ports import Clock, Operator
from statemachine.daemon.standalone import Backend
from statemachine.rollouts.service import RolloutPorts, Rollouts
from statemachine.rollouts.watch import Renewals
from statemachine.settings import ServerConfig


def rollouts_of(
    backend: Backend, operator: Operator, clock: Clock, servers: Callable[[], Sequence[ServerConfig]]
) -> Rollouts:
    """Return rolling restarts over the backend. `servers` returns those of the active settings."""
    renewals = Renewals(time.monotonic)
    backend.snapshot.add_follower(renewals)
    return Rollouts(
        RolloutPorts(
            store=backend.rollouts,
            views=lambda: backend.snapshot,
            hooked=lambda: frozenset(one.name for one in servers() if one.restart.hook is not None),
            operator=operator,
            clock=clock,
            notify=backend.recorder.notice,
            is_renewed=renewals.__contains__,
        )
    )
