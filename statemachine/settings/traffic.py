"""How load balancers are told which servers are warm."""

from typing import Annotated

from pydantic import Field

from statemachine.settings.section import Section
from statemachine.settings.values import BindHost, Whole


class Traffic(Section):
    """HAProxy's agent-check: a TCP port at which a load balancer asks for one server at a time."""

    agent_host: BindHost = "127.0.0.1"
    """Address to bind for agent checks. Whoever reaches it may read the servers' states, and nothing else."""
    agent_port: Annotated[Whole, Field(ge=0, le=65535)] | None = None
    """TCP port for agent checks; 0 takes any free one. With null there are none."""
