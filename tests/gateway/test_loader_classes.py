"""The models of a graph: inputs that list model files count, texts that look like files do not."""

from pathlib import Path

from statemachine.gateway.learned_choice import MAX_CLASSES, LoaderClasses
from tests.gateway.rig import running_site
from tests.support.polling import wait_until

GRAPH = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "x.safetensors"}},
    "2": {"class_type": "RigSlowModel", "inputs": {"name": "a picture of y.safetensors", "seconds": 0.0}},
}


async def test_inputs_that_list_no_models_count_once_their_class_is_known(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        before = site.gateway.view.choose(GRAPH).models
        await wait_until(lambda: len(site.gateway.classes.descriptions) == len(GRAPH))
        after = site.gateway.view.choose(GRAPH).models
        asked = [path for server in site.servers for _, path in server.requests if "object_info" in path]
    assert before == frozenset({"x.safetensors", "a picture of y.safetensors"})
    assert after == frozenset({"x.safetensors"})
    assert sorted(asked) == ["/object_info/CheckpointLoaderSimple", "/object_info/RigSlowModel"]


async def test_class_is_not_asked_of_a_server_that_the_daemon_does_not_reach(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        away, other = site.servers
        site.daemon.publish(site.names[0], "unreachable")
        await wait_until(lambda: next(iter(site.gateway.view)).state == "unreachable")
        site.gateway.view.choose({"1": GRAPH["1"]})
        await wait_until(lambda: site.gateway.classes.descriptions)
        assert [any("object_info" in path for _, path in server.requests) for server in (away, other)] == [False, True]


def test_graphs_of_any_form_and_number_are_noted() -> None:
    classes = LoaderClasses()
    for number in range(2 * MAX_CLASSES):
        classes.note({"1": {"class_type": f"Class{number}", "inputs": {"name": "x.ckpt"}}})
    classes.note(
        {"1": None, "2": {"class_type": "..", "inputs": {"a": "x.ckpt"}}, "3": {"class_type": 1, "inputs": []}}
    )
    assert classes.descriptions == {}
