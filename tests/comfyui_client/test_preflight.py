"""The preflight: what a server lacks for a workflow, by its /object_info in both shapes of a choice."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.comfyui.errors import AccessDeniedError, NotAnsweringError
from statemachine.comfyui.preflight import MissingModel, compare, required_classes, run_preflight
from statemachine.comfyui.transport import Reply
from statemachine.comfyui.workflow import Workflow, parse_workflow
from statemachine.i18n.render import sentence
from tests.comfyui_client.fakes import Scripted, client_of, json_reply, text_reply

OLD_SHAPE = "a list of values"
NEW_SHAPE = "COMBO with options"


def workflow(**inputs: Any) -> Workflow:
    graph = {
        "1": {"class_type": "Loader", "inputs": inputs},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
        "3": {"class_type": "Loader", "inputs": {}},
    }
    return parse_workflow("w", orjson.dumps(graph))


def server(spec: object, group: str = "required") -> dict[str, Any]:
    return {
        "Loader": {"input": {group: {"model": spec}}},
        "PreviewImage": {"input": {"required": {"images": ["IMAGE"]}}},
    }


def choice(shape: str, *values: object, **options: object) -> list[Any]:
    return [list(values), options] if shape == OLD_SHAPE else ["COMBO", {"options": list(values), **options}]


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
    assert "2 other files" in sentence(result.messages[0])


@pytest.mark.parametrize("shape", [OLD_SHAPE, NEW_SHAPE])
def test_compare_empty_list_misses_every_value(shape: str) -> None:
    assert [model.available_count for model in missing("antelopev2", choice(shape))] == [0]
    assert [model.wanted for model in missing("a.ckpt", choice(shape))] == ["a.ckpt"]


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


# The requests.

TWO_LOADERS = {str(number): {"class_type": "Loader", "inputs": {"model": f"{number}.pt"}} for number in (1, 2)}
SEVERAL = parse_workflow("w", orjson.dumps({**TWO_LOADERS, "3": {"class_type": "A / B", "inputs": {}}}))
PATHS = ["/object_info/Loader", "/object_info/A%20%2F%20B"]


async def test_run_preflight_requests_each_class_once() -> None:
    loader = server(choice(OLD_SHAPE, "1.pt"))["Loader"]
    client, transport = client_of(dict(zip(PATHS, [json_reply({"Loader": loader}), json_reply({})], strict=True)))
    result = await run_preflight(client, SEVERAL)
    assert transport.requests == PATHS
    assert result.missing_nodes == ("A / B",)
    assert [model.wanted for model in result.missing_models] == ["2.pt"]


@pytest.mark.parametrize("reply", [text_reply("", 404), text_reply("oops", 500), text_reply("<html>")])
async def test_run_preflight_unknown_answer_misses_nothing(reply: Reply) -> None:
    client, _ = client_of(dict.fromkeys(PATHS, reply))
    assert (await run_preflight(client, SEVERAL)).passed


@pytest.mark.parametrize(
    ("reply", "error"), [(NotAnsweringError("away"), NotAnsweringError), (text_reply("", 401), AccessDeniedError)]
)
async def test_run_preflight_without_answer_raises(reply: Scripted, error: type[Exception]) -> None:
    client, _ = client_of({PATHS[0]: reply})
    with pytest.raises(error):
        await run_preflight(client, SEVERAL)
