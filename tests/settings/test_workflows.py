"""The entries of `workflows`: names, and objects with the level at which models are wanted."""

import pytest

from statemachine.core.levels import Level
from statemachine.settings import resolve_servers
from tests.settings.samples import parse, problems


def test_workflow_is_a_name_or_an_object_with_level() -> None:
    entries = ["a", {"name": "b"}, {"name": "c", "warm": "ram"}, {"name": "d", "warm": "vram"}]
    (server,) = resolve_servers(parse(workflows=entries, servers=["http://h"]))
    assert server.workflows == ("a", "b", "c", "d")
    assert server.warm == {"c": Level.RAM, "d": Level.VRAM}


def test_workflows_of_a_server_replace_the_common_ones() -> None:
    entry = {"url": "http://h", "workflows": [{"name": "b", "warm": "vram"}]}
    own, common = resolve_servers(parse(workflows=["a"], servers=[entry, "http://g"]))
    assert (own.workflows, own.warm) == (("b",), {"b": Level.VRAM})
    assert (common.workflows, common.warm) == (("a",), {})
    assert own != resolve_servers(parse(workflows=["a"], servers=[{"url": "http://h", "workflows": ["b"]}]))[0]


@pytest.mark.parametrize(
    ("entries", "path", "shown"),
    [
        ([5], "workflows[0]", "name"),
        ([None], "workflows[0]", "name"),
        ([["a"]], "workflows[0]", "name"),
        ([{"warm": "ram"}], "workflows[0].name", "missing"),
        ([{"name": "a", "warm": "gpu"}], "workflows[0].warm", "'key', 'ram', 'vram'"),
        ([{"name": "a", "warm": True}], "workflows[0].warm", "'vram'"),
        ([{"name": "a", "warm": ["ram"]}], "workflows[0].warm", "'vram'"),
        ([{"name": "a", "warn": "ram"}], "workflows[0].warn", "warm"),
        ([{"name": "a.json"}], "workflows[0].name", 'without ".json"'),
        (["a", {"name": "a", "warm": "ram"}], "workflows", "once"),
    ],
)
def test_invalid_workflow_entry_names_its_place(entries: list[object], path: str, shown: str) -> None:
    found = problems(workflows=entries)
    assert list(found) == [path]
    assert shown in str(found[path])
