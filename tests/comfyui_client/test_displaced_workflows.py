"""The history check of several workflows without cache nodes on servers whose cache may not hold them together."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.comfyui.workflow import Workflow, parse_workflow
from statemachine.core import events as e
from statemachine.core.vocabulary import Reason
from statemachine.i18n.render import sentence
from tests.comfyui_client.check_builders import INSPIRE, A, check_of, inspire_reply
from tests.comfyui_client.fakes import Scripted, history_of, json_reply, workflow

C, D = workflow("c", seed=3), workflow("d", seed=4)
"""Workflows without cache nodes and without a common node."""


def having(name: str, *graphs: dict[str, Any]) -> Workflow:
    """Return a workflow with the nodes of these graphs."""
    nodes: dict[str, Any] = {}
    for graph in graphs:
        nodes |= {f"9{len(nodes)}" if node_id in nodes else node_id: node for node_id, node in graph.items()}
    return parse_workflow(name, orjson.dumps(nodes))


BOTH = having("both", dict(C.graph), dict(D.graph))

STOCK: tuple[str, ...] = ()
LAST_ONLY = [
    (STOCK, "0.33.0", "ram"),
    (("--cache-ram", "4"), "0.3.75", "ram"),
    (("--cache-ram", "4", "64"), "0.33.0", "ram"),
    (STOCK, "0.3.75", "classic"),
    (STOCK, "unknown", "unknown"),
    (("--cache-classic",), "0.33.0", "classic"),
    (("--cache-lru", "1"), "0.33.0", "lru"),
    (("--disable-smart-memory",), "0.33.0", "ram"),
]
"""Arguments, version and the cache that they mean, none of which holds C and D together."""


async def checked(
    workflows: tuple[Workflow, ...], *runs: Workflow, arguments: tuple[str, ...] = STOCK, version: str = "0.33.0"
) -> e.CheckAnswered | e.CheckUnusable:
    """Check the workflows after these runs, oldest first, on a server with 24 GiB of memory."""
    history = {key: one for n, run in enumerate(runs) for key, one in history_of(run, f"p{n}").items()}
    system = {"comfyui_version": version, "ram_total": 24 * 2**30, "argv": ["main.py", *arguments]}
    replies: dict[str, Scripted | list[Scripted]] = {
        "/history": json_reply(history),
        "/system_stats": json_reply({"system": system}),
    }
    return (await check_of(replies, "history", workflows)[0].ask(0)).event


async def needed(workflows: tuple[Workflow, ...], *runs: Workflow, **server: Any) -> tuple[str, ...]:
    event = await checked(workflows, *runs, **server)
    assert isinstance(event, e.CheckAnswered), event
    return event.needed


def text_of(event: e.CheckAnswered | e.CheckUnusable) -> str:
    what = event.caveat if isinstance(event, e.CheckAnswered) else event.message
    assert what is not None
    return sentence(what)


@pytest.mark.parametrize(("arguments", "version", "kind"), LAST_ONLY)
async def test_workflows_that_displace_one_another_run_once(
    arguments: tuple[str, ...], version: str, kind: str
) -> None:
    """A has cache nodes, whose plug-in holds its models. Before C and D have run, what will happen is named."""
    together = f"cache ({kind}) does not hold c, d together"
    for lacking, runs in {("a", "c", "d"): [], ("c", "d"): [A], ("d",): [A, C]}.items():
        event = await checked((C, D, A), *runs, arguments=arguments, version=version)
        assert isinstance(event, e.CheckAnswered)
        assert event.needed == lacking
        assert together in text_of(event)
    for every in ([A, C, D], [C, D, A], [C, D, C, A]):
        event = await checked((C, D, A), *every, arguments=arguments, version=version)
        assert isinstance(event, e.CheckUnusable)
        assert event.reason is Reason.CACHE_TOO_SMALL
        assert together in text_of(event)
        assert "--cache-lru 2 or more" in text_of(event)


async def test_workflow_displaced_by_one_with_cache_nodes_is_needed() -> None:
    """One run brings it back, because the other keeps its keys."""
    assert await needed((A, C), C, A) == ("c",)
    assert "has dropped c" in text_of(await checked((A, C), C, A))
    assert await needed((A, C), C, A, C) == ()


@pytest.mark.parametrize("version", ["0.33.0", "0.3.75"])
async def test_workflow_with_all_nodes_of_the_others_keeps_them(version: str) -> None:
    """It runs first, and alone; its run counts for the others too."""
    workflows = (C, D, BOTH)
    assert await needed(workflows, version=version) == ("both", "c", "d")
    assert await needed(workflows, BOTH, version=version) == ()
    assert await needed(workflows, C, D, BOTH, version=version) == ()
    assert await needed(workflows, BOTH, D, version=version) == ("both", "c")


@pytest.mark.parametrize(
    ("arguments", "version"), [(("--cache-lru", "2"), "0.33.0"), (("--cache-lru", "100"), "0.3.75")]
)
async def test_workflows_that_the_cache_holds_are_loaded(arguments: tuple[str, ...], version: str) -> None:
    event = await checked((C, D), C, D, arguments=arguments, version=version)
    assert isinstance(event, e.CheckAnswered)
    assert (event.needed, event.caveat) == ((), None)


async def test_workflow_that_the_nodes_since_have_filled_the_cache_is_needed() -> None:
    """Nodes of workflows with cache nodes count too; of those that have run twice, once."""
    size = len(A.graph) + 1
    assert await needed((A, C), C, A, A, arguments=("--cache-lru", str(size))) == ()
    assert await needed((A, C), C, A, arguments=("--cache-lru", str(size - 1))) == ("c",)


async def test_workflows_kept_while_memory_is_free_are_named() -> None:
    event = await checked((A, C, D), A, C, D, arguments=("--cache-ram", "1", "2.5"))
    assert isinstance(event, e.CheckAnswered)
    assert event.needed == ()
    assert "so c may load again" in text_of(event)


async def test_missing_keys_are_brought_back_before_cache_too_small() -> None:
    replies: dict[str, Scripted | list[Scripted]] = {
        INSPIRE: inspire_reply(),
        "/history": json_reply(history_of(C, "p") | history_of(D, "q")),
        "/system_stats": json_reply({"system": {"comfyui_version": "0.33.0", "argv": ["main.py"]}}),
    }
    check, transport = check_of(replies, "inspire", (A, C, D))
    event = (await check.ask(0)).event
    assert isinstance(event, e.CheckAnswered)
    assert event.needed == ("a",)
    transport.replies[INSPIRE] = inspire_reply("k1", "k2")
    event = (await check.ask(0)).event
    assert isinstance(event, e.CheckUnusable)
    assert event.reason is Reason.CACHE_TOO_SMALL


def with_memory(free_gib: float) -> Scripted:
    sizes = {"ram_total": 24 * 2**30, "ram_free": int(free_gib * 2**30)}
    return json_reply({"system": {"comfyui_version": "0.33.0", "argv": ["main.py"], **sizes}})


async def test_workflow_run_while_memory_is_short_is_not_loaded() -> None:
    """It runs once; then nothing more while memory is short, and again when it is free, until that run is seen."""
    replies: dict[str, Scripted | list[Scripted]] = {"/history": json_reply({}), "/system_stats": with_memory(1)}
    check, transport = check_of(replies, "history", (C,))

    async def asked() -> tuple[str, ...] | Reason:
        event = (await check.ask(0)).event
        return event.needed if isinstance(event, e.CheckAnswered) else event.reason

    assert await asked() == ("c",)
    transport.replies["/history"] = json_reply(history_of(C, "p"))
    assert [await asked(), await asked()] == [Reason.CACHE_DISABLED] * 2
    transport.replies["/system_stats"] = with_memory(12)
    assert [await asked(), await asked()] == [("c",)] * 2
    transport.replies["/history"] = json_reply(history_of(C, "p") | history_of(C, "q"))
    assert await asked() == ()
    transport.replies["/system_stats"] = with_memory(1)
    transport.requests.clear()
    assert await asked() == ()
    assert len(transport.requests) == 1, "memory that becomes short later has dropped nothing"


async def test_keys_do_not_depend_on_free_memory() -> None:
    replies: dict[str, Scripted | list[Scripted]] = {
        "/history": json_reply(history_of(A, "p")),
        "/system_stats": with_memory(1),
    }
    event = (await check_of(replies, "history", (A,))[0].ask(0)).event
    assert isinstance(event, e.CheckAnswered)
    assert event.needed == ()


POOL = (A, C, D, BOTH, workflow("e", "k9", seed=5), having("ac", dict(A.graph), dict(C.graph)))


@given(chosen=st.lists(st.integers(0, len(POOL) - 1), min_size=1, unique=True), size=st.integers(0, 12))
async def test_runs_until_the_verdict_are_few(chosen: list[int], size: int) -> None:
    """What is needed first runs first, as the daemon does: no set of workflows is run in turn without end."""
    workflows = tuple(POOL[index] for index in chosen)
    arguments = ("--cache-lru", str(size)) if size else STOCK
    runs: list[Workflow] = []
    while lacking := await lacking_after(workflows, runs, arguments):
        assert len(runs) < 2 * len(workflows)
        runs.append(next(one for one in workflows if one.name == lacking[0]))


async def lacking_after(
    workflows: tuple[Workflow, ...], runs: list[Workflow], arguments: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the workflows that the daemon would run; none if the server cannot keep them."""
    event = await checked(workflows, *runs, arguments=arguments)
    return event.needed if isinstance(event, e.CheckAnswered) else ()
