"""The preflight: what a server lacks for a workflow, by its /object_info in both shapes of a choice."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.comfyui.node_classes import parse_replacements
from statemachine.comfyui.preflight import MissingModel, compare, required_classes
from statemachine.comfyui.workflow import Workflow, parse_workflow
from statemachine.i18n.render import sentence
from tests.comfyui_client.preflight_builders import NEW_SHAPE, OLD_LOADER, OLD_SHAPE, RENAMED, choice, server


def workflow(**inputs: Any) -> Workflow:
    graph = {
        "1": {"class_type": "Loader", "inputs": inputs},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
        "3": {"class_type": "Loader", "inputs": {}},
    }
    return parse_workflow("w", orjson.dumps(graph))


def missing(wanted: object, spec: object) -> tuple[MissingModel, ...]:
    return compare(workflow(model=wanted), server(spec)).missing_models


def test_required_classes_are_unique_in_file_order() -> None:
    assert required_classes(workflow()) == ("Loader", "PreviewImage")


def test_compare_unknown_class_is_missing() -> None:
    result = compare(workflow(model="a.pth"), {"PreviewImage": {}})
    assert result.missing_nodes == ("Loader",)
    assert result.missing_models == ()
    assert not result.passed
    assert "node class Loader" in sentence(result.messages[0])


@pytest.mark.parametrize("shape", [OLD_SHAPE, NEW_SHAPE])
@pytest.mark.parametrize("group", ["required", "optional"])
def test_compare_unlisted_file_is_missing(shape: str, group: str) -> None:
    info = server(choice(shape, "a.safetensors", "b.safetensors"), group)
    assert compare(workflow(model="b.safetensors"), info).passed
    result = compare(workflow(model="c.safetensors"), info)
    assert result.missing_models == (MissingModel("1", "Loader", "model", "c.safetensors", 2),)
    assert "server lacks c.safetensors" in sentence(result.messages[0])
    assert "other files it has there: 2" in sentence(result.messages[0])


@pytest.mark.parametrize("shape", [OLD_SHAPE, NEW_SHAPE])
@pytest.mark.parametrize("listed", [[], ["None"], ["", "(loading…)"], [None, 7]])
@pytest.mark.parametrize("wanted", ["a.ckpt", "antelopev2"])
def test_compare_list_without_a_file_misses_nothing(shape: str, listed: list[object], wanted: str) -> None:
    """JavaScript fills such a list in the browser, and the class validates the value itself."""
    assert missing(wanted, choice(shape, *listed, tooltip="a file")) == ()


@pytest.mark.parametrize("shape", [OLD_SHAPE, NEW_SHAPE])
def test_compare_unlisted_word_is_not_missing(shape: str) -> None:
    assert missing("ROCM", choice(shape, "CPU", "CUDA")) == ()
    assert missing("v1.5", choice(shape, "v1.0")) == ()


@pytest.mark.parametrize(
    "name", ["a.PTH", "a.gguf", "a.onnx", "a.pt", "a.ckpt", "a.bin", "folder/a.sft", "folder\\a.pt2"]
)
def test_compare_file_suffixes_are_recognised(name: str) -> None:
    assert [model.wanted for model in missing(name, choice(OLD_SHAPE, "other.pth"))] == [name]


@pytest.mark.parametrize(
    ("listed", "near"),
    [
        (["x.pt", "F.1\\ae.safetensors"], "F.1\\ae.safetensors"),
        (["f.1/AE.safetensors"], "f.1/AE.safetensors"),
        (["ae.safetensors", "F.1\\ae.safetensors"], "F.1\\ae.safetensors"),
        (["flux/ae.safetensors"], "flux/ae.safetensors"),
        (["vae.safetensors", 7, None], None),
    ],
)
def test_compare_similar_name_is_missing_with_near_match(listed: list[object], near: str | None) -> None:
    (model,) = missing("F.1/ae.safetensors", choice(OLD_SHAPE, *listed))
    assert model.near_match == near
    assert (f"it has {near}" in sentence(model.message)) == (near is not None)


@pytest.mark.parametrize(
    "spec",
    [
        ["COMBO", {"remote": {"route": "/models"}}],
        ["COMBO", {"remote": {"route": "/models"}, "options": []}],
        ["COMBO"],
        ["COMBO", {"options": "a.pth"}],
        ["STRING", {"default": "a.pth"}],
        [["other.glb"], {"file_upload": True}],
        [[], {"image_upload": True}],
        [["other.pth"], {"model_upload": True}],
        [["other.pth"], {"remote_combo": {"route": "/models"}}],
        ["COMBO", {"options": None}],
        ["COMBO", {"multiselect": True, "options": []}],
        ["COMFY_DYNAMICCOMBO_V3", {"options": [{"key": "b.pth", "inputs": {}}]}],
        [],
        "COMBO",
        None,
    ],
)
def test_compare_unknown_list_misses_nothing(spec: object) -> None:
    assert missing("a.pth", spec) == ()


def test_compare_link_and_undeclared_input_miss_nothing() -> None:
    linked = parse_workflow(
        "w",
        b'{"1": {"class_type": "Loader", "inputs": {"model": ["2", 0], "other": "a.pth"}},'
        b' "2": {"class_type": "Loader", "inputs": {"model": 3}}}',
    )
    assert compare(linked, server(choice(OLD_SHAPE))).passed


GRAPH = {
    "1": {"class_type": "Loader", "inputs": {"model": "a.pth"}},
    "2": {"class_type": "Apply", "inputs": {"model": ["1", 0]}},
}


@pytest.mark.parametrize(
    ("apply", "count"),
    [({"output_node": True}, 1), ({"output_node": False}, 0), ({"output_node": None}, 1), ({}, 1)],
)
def test_compare_node_that_feeds_no_output_is_not_judged(apply: dict[str, Any], count: int) -> None:
    """ComfyUI validates output nodes and what they depend on."""
    info = server(choice(OLD_SHAPE, "b.pth"))
    info = {"Loader": {**info["Loader"], "output_node": False}, "Apply": {"input": {}, **apply}}
    assert len(compare(parse_workflow("w", orjson.dumps(GRAPH)), info).missing_models) == count


@pytest.mark.parametrize(
    ("listed", "mapping", "wanted"),
    [
        ("a.pth", RENAMED["input_mapping"], []),
        ("b.pth", RENAMED["input_mapping"], ["a.pth"]),
        ("b.pth", [{"new_id": "model", "set_value": "b.pth"}], []),
        ("b.pth", None, []),
        ("b.pth", [{"new_id": "model", "old_id": "absent"}, {"new_id": 7}, "?"], []),
    ],
)
def test_compare_replaced_class_is_judged_by_the_new_class(listed: str, mapping: Any, wanted: list[str]) -> None:
    replacements = parse_replacements({"OldLoader": [{**RENAMED, "input_mapping": mapping}]})
    result = compare(OLD_LOADER, server(choice(OLD_SHAPE, listed)), replacements)
    assert result.missing_nodes == ()
    assert [model.wanted for model in result.missing_models] == wanted


def test_compare_class_that_the_server_has_is_not_replaced() -> None:
    replacements = parse_replacements({"OldLoader": [RENAMED]})
    info = server(choice(OLD_SHAPE, "b.pth")) | {"OldLoader": {"input": {"required": {"old": [["a.pth"]]}}}}
    assert compare(OLD_LOADER, info, replacements).passed


def test_compare_class_whose_replacement_is_absent_is_missing() -> None:
    assert compare(OLD_LOADER, {}, parse_replacements({"OldLoader": [RENAMED]})).missing_nodes == ("OldLoader",)


@pytest.mark.parametrize("entries", [[], {}, None, "Loader", [None], [{}], [{"new_node_id": 7}]])
def test_parse_replacements_skips_entries_that_are_not_understood(entries: object) -> None:
    assert list(parse_replacements({"A": entries, "OldLoader": [RENAMED]})) == ["OldLoader"]


garbage = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.sampled_from(["COMBO", "a.pth"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["input", "required", "optional", "model", "options", "remote"]), inner)
    ),
    max_leaves=15,
)


@given(garbage)
def test_compare_any_class_description_never_raises(description: object) -> None:
    for message in compare(workflow(model="a.pth"), {"Loader": description}).messages:
        assert sentence(message)


@given(garbage)
def test_compare_any_input_declaration_never_raises(spec: object) -> None:
    for model in missing("a.pth", spec):
        assert model.wanted == "a.pth"
