"""A simulated server complete with ComfyUI's routes and the behaviours of its persona."""

import time
from collections.abc import Callable
from random import Random

from statemachine.simulator.behaviours import behaviours
from statemachine.simulator.profiles import Persona
from statemachine.simulator.routes import respond
from statemachine.simulator.server import ServerModel


class SimServer(ServerModel):
    """A simulated ComfyUI server of one persona. `start` it inside a running loop, and `stop` it."""

    def __init__(
        self, persona: Persona, rng: Random, *, scale: float = 1.0, clock: Callable[[], float] = time.time
    ) -> None:
        """Create a stopped server. `scale` multiplies every duration of the persona."""
        super().__init__(persona, rng, respond, behaviours, scale=scale, clock=clock)
