"""ComfyUI servers that behave like the recorded transcripts, and misbehave on request.

The demo's fleet, the tests' peer, and the model inside a simulation in virtual time. It shares no code with the
client, or it would agree with the client's mistakes.
"""

from statemachine.simulator.fleet import (
    Member,
    SimFleet,
    SimulateOptions,
    demo_fleet,
    running_fleet,
    serve_fleet,
)
from statemachine.simulator.profiles import PERSONAS, Persona
from statemachine.simulator.server import SimServer

__all__ = [
    "PERSONAS",
    "Member",
    "Persona",
    "SimFleet",
    "SimServer",
    "SimulateOptions",
    "demo_fleet",
    "running_fleet",
    "serve_fleet",
]
