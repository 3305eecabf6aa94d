"""What differs between two configurations of a fleet."""

from dataclasses import replace
from typing import Any

import pytest

from campaigns.simulation.scenario import workflows
from statemachine.comfyui.workflow import Workflow, WorkflowError
from statemachine.core.messages import verbatim
from statemachine.fleet.diff import Changes, LoadedConfig, compare
from statemachine.settings import Settings, resolve_servers


def config(*servers: dict[str, Any], **changes: Workflow | WorkflowError) -> LoadedConfig:
    """Return the configuration of these servers, with other contents of some workflow files."""
    settings = Settings.model_validate({"servers": list(servers)})
    return LoadedConfig(settings, resolve_servers(settings), {**workflows(), **changes})


A, B = {"url": "http://a", "name": "a"}, {"url": "http://b", "name": "b"}
NAMES = tuple(workflows())


def test_equal_configurations_do_not_differ() -> None:
    assert not compare(config(A, B), config(A, B))
    same = config(A, B)
    assert not compare(same, replace(same, servers=[*same.servers]))
    assert not compare(same, replace(same, servers=[replace(one) for one in same.servers]))


def test_servers_are_added_removed_and_changed() -> None:
    changed = {**A, "group": "other"}
    assert compare(config(A), config(A, B)) == Changes(("b",), (), ())
    assert compare(config(A, B), config(B)) == Changes((), ("a",), ())
    assert compare(config(A, B), config(changed, B)) == Changes((), (), ("a",))


@pytest.mark.parametrize("name", NAMES)
def test_edited_workflow_changes_the_servers_that_need_it(name: str) -> None:
    used, others = {**A, "workflows": [name]}, {**B, "workflows": [one for one in NAMES if one != name] or [name]}
    before = workflows()[name]
    assert isinstance(before, Workflow)
    old = config(used, others)
    edited = replace(before, digest="of an edited file")
    broken = WorkflowError(name, verbatim("cannot be read"))
    expected = tuple(one.name for one in old.servers if name in one.workflows)
    for new in (edited, broken, replace(before, extra_data={"more": 1})):
        assert compare(old, replace(old, workflows={**old.workflows, name: new})) == Changes((), (), expected)
