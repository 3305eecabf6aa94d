"""The choice of a server by what was learned of models and durations."""

from typing import Any

import pytest

from statemachine.core.vocabulary import State
from statemachine.gateway.fleet_view import Candidate, FleetView
from statemachine.gateway.learned_choice import LearnedChoice
from statemachine.settings import parse_settings, resolve_servers
from tests.support.paths import REPOSITORY


class Rig:
    """A view of idle, warm servers at a time that a test sets."""

    def __init__(self, count: int) -> None:
        urls = [f"http://gpu{number}:8188" for number in range(count)]
        servers = resolve_servers(parse_settings({"servers": urls}, REPOSITORY, {}))
        self.now = 0.0
        self.choice = LearnedChoice(lambda: self.now)
        self.view = FleetView(servers, self.choice)
        self.names = [server.name for server in servers]
        self.view.note_status([{"name": name, "state": "loaded", "queue_remaining": 0} for name in self.names])

    def run(self, server: str, model: str, seconds: float) -> None:
        """Run a prompt to its end."""
        self.choice.note_sent(server, f"{server} {self.now}", graph(model))
        self.choice.note_started(server, f"{server} {self.now}")
        began, self.now = self.now, self.now + seconds
        self.choice.note_ended(server, f"{server} {began}", success=True)

    def chosen(self, model: str) -> str:
        return self.view.choose(graph(model)).servers[0].name


def graph(model: str) -> dict[str, Any]:
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": model}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "a"}},
    }


def test_choose_knows_the_models_of_a_graph_by_their_files() -> None:
    rig = Rig(2)
    chosen = rig.view.choose(graph("SDXL\\base.safetensors"))
    assert chosen.models == frozenset({"sdxl/base.safetensors"})
    assert rig.view.choose(graph("none")).models is None
    assert [one.name for one in rig.view.choose({"1": None, "2": {"inputs": ["x.ckpt"]}}).servers] == rig.names


def test_choose_prefers_the_server_that_ran_the_model() -> None:
    rig = Rig(3)
    for server, model in zip(rig.names, ("a.ckpt", "b.ckpt", "c.ckpt"), strict=True):
        rig.run(server, model, 30.0)
    assert [rig.chosen(model) for model in ("a.ckpt", "b.ckpt", "c.ckpt")] == rig.names


def test_choose_leaves_a_server_with_much_work_of_others() -> None:
    rig = Rig(2)
    for _ in range(3):
        rig.run(rig.names[0], "a.ckpt", 10.0)
    rig.view.note_queue(rig.names[0], 50)
    assert rig.chosen("a.ckpt") == rig.names[1]
    rig.view.note_queue(rig.names[0], 0)
    assert rig.chosen("a.ckpt") == rig.names[0]


def test_queue_that_the_daemon_publishes_later_does_not_count() -> None:
    rig = Rig(2)
    stale = {"name": rig.names[0], "state": "loaded", "queue_remaining": 3}
    rig.run(rig.names[0], "a.ckpt", 10.0)
    rig.view.note_queue(rig.names[0], 0)
    rig.view.note_status([stale])
    assert rig.chosen("a.ckpt") == rig.names[0]
    rig.view.note_disconnected(rig.names[0])
    rig.view.note_status([stale])
    assert rig.chosen("a.ckpt") == rig.names[1]


def test_choose_after_loss_knows_nothing_of_the_models() -> None:
    rig = Rig(2)
    rig.run(rig.names[0], "a.ckpt", 30.0)
    rig.choice.note_lost(rig.names[0])
    rig.run(rig.names[1], "a.ckpt", 30.0)
    assert rig.chosen("a.ckpt") == rig.names[1]


def test_choose_takes_warm_servers_first_and_none_that_is_away() -> None:
    rig = Rig(4)
    states = (State.COLD, State.LOADED, State.PAUSED, State.UNREACHABLE)
    for name, state in zip(rig.names, states, strict=True):
        rig.view.note_status([{"name": name, "state": state.value}])
    chosen: list[Candidate] = list(rig.view.choose(graph("a.ckpt")).servers)
    assert [one.name for one in chosen] == [rig.names[1], rig.names[0]]


def test_choose_fills_up_with_less_warm_servers() -> None:
    rig = Rig(8)
    for name, state in zip(rig.names, [State.COLD] * 5 + [State.LOADED] * 2 + [State.FAILED], strict=True):
        rig.view.note_status([{"name": name, "state": state.value}])
    choice = rig.view.choose(graph("a.ckpt"))
    assert [one.name for one in choice.servers] == [*rig.names[5:7], *rig.names[:3]]
    assert choice.decision is not None
    assert choice.decision.chosen.server == rig.names[5]


def test_prompt_that_was_withdrawn_has_loaded_nothing() -> None:
    rig = Rig(1)
    rig.choice.note_sent(rig.names[0], "1", graph("a.ckpt"))
    rig.choice.note_withdrawn(rig.names[0], "1")
    decision = rig.view.choose(graph("a.ckpt")).decision
    assert decision is not None
    assert (decision.chosen.missing, decision.chosen.work_s) == (("a.ckpt",), 0.0)
    rig.choice.note_withdrawn("removed", "2")


@pytest.mark.parametrize("state", [State.DRAINING, State.RESTARTING])
def test_choose_sends_nothing_to_a_server_that_is_restarted(state: State) -> None:
    """Not even what it has run before, nor if no other server is warm."""
    rig = Rig(2)
    first, second = rig.names
    rig.run(first, "a.safetensors", 5.0)
    rig.view.note_status([{"name": first, "state": state.value}, {"name": second, "state": "failed"}])
    assert [one.name for one in rig.view.choose(graph("a.safetensors")).servers] == [second]
