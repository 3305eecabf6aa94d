"""Simulated ComfyUI servers that follow the recorded transcripts and misbehave on request.

The demo, the tests and the simulation in virtual time use them. The simulator shares no code with the client, so
that it cannot repeat the client's mistakes.
"""

from statemachine.simulator.dialects import dialect_of
from statemachine.simulator.fleet import (
    Member,
    SimFleet,
    SimServer,
    SimulateOptions,
    demo_fleet,
    running_fleet,
    serve_fleet,
)
from statemachine.simulator.profiles import PROFILES, Profile

__all__ = [
    "PROFILES",
    "Member",
    "Profile",
    "SimFleet",
    "SimServer",
    "SimulateOptions",
    "demo_fleet",
    "dialect_of",
    "running_fleet",
    "serve_fleet",
]
