"""Build events, and drive a server into each state."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from statemachine.core import events as e
from statemachine.core.log_entry import Transition
from statemachine.core.machine import Machine
from statemachine.core.messages import verbatim
from statemachine.core.restart import Restart, RestartCause
from statemachine.core.server import Attempt, Reachability, Server
from statemachine.core.vocabulary import Reason, Source, State

MACHINE = Machine()
OURS, OLDER, FOREIGN = "ours", "older", "foreign"
WORKFLOW = "cache_models"
CACHE_NODES: Mapping[str, str] = MappingProxyType({"20": "k1", "21": "k2"})


def submission(prompt_id: str = OURS, *, workflow: str = WORKFLOW, varied_tag: bool = False) -> e.SubmissionStarted:
    return e.SubmissionStarted(workflow, prompt_id, "client", varied_tag, 4, CACHE_NODES)


def accepted(prompt_id: str = OURS, server_prompt_id: str | None = None) -> e.PromptAccepted:
    return e.PromptAccepted(prompt_id, server_prompt_id or prompt_id, Source.REPLY)


def succeeded(prompt_id: str = OURS, proved_by: Source = Source.WS) -> e.PromptSucceeded:
    return e.PromptSucceeded(prompt_id, proved_by)


def failed(prompt_id: str = OURS, proved_by: Source = Source.WS, *, memory: bool = False) -> e.PromptFailed:
    return e.PromptFailed(prompt_id, proved_by, verbatim("node 10 raised"), memory)


def interrupted(prompt_id: str = OURS, proved_by: Source = Source.WS) -> e.PromptInterrupted:
    return e.PromptInterrupted(prompt_id, proved_by)


def queue(remaining: int) -> e.QueueSeen:
    return e.QueueSeen(remaining, Source.WS)


def cache_frame(*present: str, sequence: int, instance: str = "i1", truncated: bool = False) -> e.CacheReported:
    return e.CacheReported(instance, sequence, frozenset(present), truncated)


def restart(server: str = "a:8188", restart_id: str = "r1") -> Restart:
    """Return a restart that has just been requested."""
    return Restart(restart_id, server, RestartCause.OPERATOR, 1_000.0)


def hook_started(instance: str | None = None, mark: str | None = None, at: float = 1_000.0) -> e.HookStarted:
    return e.HookStarted(restart().hook_begun(instance, mark, at), verbatim("drained"))


class MachineDriver:
    """Apply events to one server, one second apart."""

    def __init__(self) -> None:
        self.server = Server("a:8188", Reachability(fall=3, rise=2))
        self.now = 1_000.0

    def apply(self, *happened: e.Event) -> list[Transition]:
        transitions = []
        for event in happened:
            self.now += 1
            transitions += MACHINE.apply(self.server, event, self.now)
        return transitions

    @property
    def state(self) -> State:
        return self.server.state

    @property
    def attempt(self) -> Attempt:
        assert self.server.attempt is not None
        return self.server.attempt

    def answer(
        self, *missing: str, needed: tuple[str, ...] | None = None, auto: bool = False, age: int = 0
    ) -> e.CheckAnswered:
        """Return a check's answer; `age` is the number of epochs that have begun since the request."""
        wanted = ((WORKFLOW,) if missing else ()) if needed is None else needed
        return e.CheckAnswered("text", missing, wanted, auto, self.server.epoch - age)

    def node_answer(
        self, *missing: str, sequence: int = 5, instance: str = "i1", auto: bool = False, age: int = 0
    ) -> e.CheckAnswered:
        """Return the answer of a companion node that was asked for k1 and k2."""
        node_cursor = e.NodeCursor(instance, sequence, ("k1", "k2"))
        return replace(self.answer(*missing, auto=auto, age=age), kind="node", node_cursor=node_cursor)

    def check(self, *missing: str, needed: tuple[str, ...] | None = None, auto: bool = False) -> list[Transition]:
        """Start a check and answer it; return the transitions."""
        transitions = self.apply(e.CheckStarted())
        return transitions + self.apply(self.answer(*missing, needed=needed, auto=auto))

    def warm(self, prompt_id: str = OURS, *, workflow: str = WORKFLOW, varied_tag: bool = False) -> None:
        """Move the server from cold to warming."""
        self.apply(submission(prompt_id, workflow=workflow, varied_tag=varied_tag), accepted(prompt_id))
        assert self.state is State.WARMING


def dests(driver: MachineDriver, *happened: e.Event) -> list[State]:
    """Apply the events; return the states that the server entered."""
    return [one.dest for one in driver.apply(*happened)]


def driver_in(state: State) -> MachineDriver:
    """Return a server in `state`, reached by the shortest path."""
    driver = MachineDriver()
    if state is State.CHECKING:
        driver.apply(e.CheckStarted())
    elif state is State.LOADED:
        driver.check()
    elif state is State.AUTO_EXECUTING:
        driver.check("k1", auto=True)
    elif state in (State.COLD, State.SUBMITTING, State.WARMING, State.FAILED):
        driver.check("k1")
        _move_on_from_cold(driver, state)
    elif state is State.UNREACHABLE:
        driver.apply(*[e.NotAnswering(verbatim("timed out"))] * 3)
    elif state is State.PAUSED:
        driver.apply(e.PauseRequested())
    elif state in (State.DRAINING, State.RESTARTING):
        driver.apply(e.RestartRequested("r1"), *([hook_started()] if state is State.RESTARTING else []))
    assert driver.state is state
    return driver


def _move_on_from_cold(driver: MachineDriver, state: State) -> None:
    if state is State.SUBMITTING:
        driver.apply(submission())
    elif state is State.WARMING:
        driver.warm()
    elif state is State.FAILED:
        driver.apply(e.PreflightFailed(Reason.MISSING_NODES, verbatim("no such class")))
