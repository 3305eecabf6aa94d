"""A simulated server complete with ComfyUI's routes and the behaviours of its profile."""

import time
from collections.abc import Callable
from random import Random

from statemachine.simulator.behaviours import behaviours
from statemachine.simulator.profiles import Profile
from statemachine.simulator.routes import respond
from statemachine.simulator.server import ServerModel


class SimServer(ServerModel):
    """A simulated ComfyUI server of one profile. `start` it inside a running loop, and `stop` it."""

    def __init__(
        self,
        profile: Profile,
        rng: Random,
        *,
        scale: float = 1.0,
        clock: Callable[[], float] = time.time,
        ids: Random | None = None,
    ) -> None:
        """Create a stopped server. `scale` multiplies every duration of the profile; `ids` draws the ids."""
        super().__init__(profile, rng, respond, behaviours, scale=scale, clock=clock, ids=ids)
