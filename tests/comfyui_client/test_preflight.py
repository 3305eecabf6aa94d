"""What a server lacks for a workflow, from what /object_info says, in both shapes of a choice."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.comfyui.preflight import MissingModel, compare, required_classes
from statemachine.comfyui.workflow import Workflow, parse_workflow
from statemachine.i18n.render import sentence

OLD_SHAPE = "a list of values"
NEW_SHAPE = "COMBO with options"


def workflow(**inputs: Any) -> Workflow:
    graph = {
        "1": {"class_type": "Loader", "inputs": inputs},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
        "3": {"class_type": "Loader", "inputs": {}},
    }
    return parse_workflow("w", json.dumps(graph).encode())


def server(spec: object, group: str = "required") -> dict[str, Any]:
    return {
        "Loader": {"input": {group: {"model": spec}}},
        "PreviewImage": {"input": {"required": {"images": ["IMAGE"]}}},
    }


def choice(shape: str, *values: object, **options: object) -> list[Any]:
    return [list(values), options] if shape == OLD_SHAPE else ["COMBO", {"options": list(values), **options}]


def missing(wanted: object, spec: object) -> tuple[MissingModel, ...]:
    return compare(workflow(model=wanted), server(spec)).missing_models


def test_each_class_is_asked_for_once_in_the_order_of_the_file() -> None:
    assert required_classes(workflow()) == ("Loader", "PreviewImage")


def test_a_class_that_the_server_does_not_know_is_missing() -> None:
    fitness = compare(workflow(model="a.pth"), {"PreviewImage": {}})
    assert fitness.missing_nodes == ("Loader",)
    assert fitness.missing_models == ()
    assert not fitness.fits
    assert "node class Loader" in sentence(fitness.messages[0])


@pytest.mark.parametrize("shape", [OLD_SHAPE, NEW_SHAPE])
@pytest.mark.parametrize("group", ["required", "optional"])
def test_a_file_that_is_listed_is_there_and_another_is_missing(shape: str, group: str) -> None:
    info = server(choice(shape, "a.safetensors", "b.safetensors"), group)
    assert compare(workflow(model="b.safetensors"), info).fits
    fitness = compare(workflow(model="c.safetensors"), info)
    assert fitness.missing_models == (MissingModel("1", "Loader", "model", "c.safetensors", 2),)
    assert "server lacks c.safetensors" in sentence(fitness.messages[0])
    assert "2 other files" in sentence(fitness.messages[0])


@pytest.mark.parametrize("shape", [OLD_SHAPE, NEW_SHAPE])
def test_with_an_empty_list_every_value_is_missing(shape: str) -> None:
    assert [model.available_count for model in missing("antelopev2", choice(shape))] == [0]
    assert [model.wanted for model in missing("a.ckpt", choice(shape))] == ["a.ckpt"]


@pytest.mark.parametrize("shape", [OLD_SHAPE, NEW_SHAPE])
def test_a_word_that_is_not_listed_is_left_to_the_server(shape: str) -> None:
    assert missing("ROCM", choice(shape, "CPU", "CUDA")) == ()
    assert missing("v1.5", choice(shape, "v1.0")) == ()


@pytest.mark.parametrize(
    "name", ["a.PTH", "a.gguf", "a.onnx", "a.pt", "a.ckpt", "a.bin", "folder/a.sft", "folder\\a.pt2"]
)
def test_a_file_is_known_by_its_ending(name: str) -> None:
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
def test_other_slashes_case_or_folder_are_missing_with_the_near_match(listed: list[object], near: str | None) -> None:
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
        [],
        "COMBO",
        None,
    ],
)
def test_what_is_no_known_list_proves_nothing(spec: object) -> None:
    assert missing("a.pth", spec) == ()


def test_a_link_and_an_input_that_is_not_declared_prove_nothing() -> None:
    linked = parse_workflow(
        "w",
        b'{"1": {"class_type": "Loader", "inputs": {"model": ["2", 0], "other": "a.pth"}},'
        b' "2": {"class_type": "Loader", "inputs": {"model": 3}}}',
    )
    assert compare(linked, server(choice(OLD_SHAPE))).fits


garbage = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.sampled_from(["COMBO", "a.pth"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["input", "required", "optional", "model", "options", "remote"]), inner)
    ),
    max_leaves=15,
)


@given(garbage)
def test_any_description_of_a_class_is_survived(description: object) -> None:
    for message in compare(workflow(model="a.pth"), {"Loader": description}).messages:
        assert sentence(message)


@given(garbage)
def test_any_declaration_of_an_input_is_survived(spec: object) -> None:
    for model in missing("a.pth", spec):
        assert model.wanted == "a.pth"
