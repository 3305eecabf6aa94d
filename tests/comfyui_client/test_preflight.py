"""The preflight: what a server lacks for a workflow, by its /object_info in both shapes of a choice."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.comfyui.errors import AccessDeniedError, NotAnsweringError
from statemachine.comfyui.preflight import MissingModel, compare, required_classes, run_preflight
from statemachine.comfyui.replacements import parse_replacements
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


OLD_LOADER = parse_workflow("w", b'{"1": {"class_type": "OldLoader", "inputs": {"old": "a.pth"}}}')
RENAMED = {"new_node_id": "Loader", "old_node_id": "OldLoader", "input_mapping": [{"new_id": "model", "old_id": "old"}]}


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


# The requests.

TWO_LOADERS = {str(number): {"class_type": "Loader", "inputs": {"model": f"{number}.pt"}} for number in (1, 2)}
SEVERAL = parse_workflow("w", orjson.dumps({**TWO_LOADERS, "3": {"class_type": "A / B", "inputs": {}}}))
PATHS = ["/object_info/Loader", "/object_info/A%20%2F%20B"]


async def test_run_preflight_requests_each_class_once() -> None:
    loader = server(choice(OLD_SHAPE, "1.pt"))["Loader"]
    client, transport = client_of(dict(zip(PATHS, [json_reply({"Loader": loader}), json_reply({})], strict=True)))
    result = await run_preflight(client, SEVERAL)
    assert transport.requests == [*PATHS, "/node_replacements", "/prompt"]
    assert result.missing_nodes == ("A / B",)
    assert [model.wanted for model in result.missing_models] == ["2.pt"]


NOT_DESCRIPTIONS = [
    text_reply("slow down", 429),
    text_reply("", 404),
    text_reply("oops", 500),
    text_reply("<html>"),
    json_reply({"Loader": None, "A / B": 7}),
    json_reply({"error": "not allowed"}),
    json_reply({"Loader": {"name": "Loader"}, "A / B": {"input": []}}),
]


@pytest.mark.parametrize("reply", NOT_DESCRIPTIONS)
async def test_run_preflight_unknown_answer_is_unexamined(reply: Reply) -> None:
    client, _ = client_of(dict.fromkeys(PATHS, reply))
    result = await run_preflight(client, SEVERAL)
    assert result.passed
    assert [one.class_type for one in result.unexamined] == ["Loader", "A / B"]
    assert sentence(result.unexamined[0].message).startswith("could not examine Loader: ")


async def test_run_preflight_understood_answers_leave_nothing_unexamined() -> None:
    listing = json_reply({"Loader": {"input": {}}, "A / B": {"input": {"required": {}}}})
    client, _ = client_of(dict.fromkeys(PATHS, listing))
    result = await run_preflight(client, SEVERAL)
    assert result.passed
    assert result.unexamined == ()


async def test_run_preflight_listing_without_the_class_means_missing() -> None:
    client, _ = client_of(dict.fromkeys(PATHS, json_reply({"A / B": {"input": {}}})))
    assert (await run_preflight(client, SEVERAL)).missing_nodes == ("Loader",)


def replacing(reply: Scripted, **others: Scripted) -> dict[str, Scripted | list[Scripted]]:
    loader = {"Loader": server(choice(OLD_SHAPE, "a.pth"))["Loader"]}
    return {
        "/object_info/OldLoader": json_reply({}),
        "/object_info/Loader": json_reply(loader),
        "/node_replacements": reply,
        **others,
    }


async def test_run_preflight_replaced_class_is_not_missing() -> None:
    client, _ = client_of(replacing(json_reply({"OldLoader": [RENAMED], "Other": []})))
    result = await run_preflight(client, OLD_LOADER)
    assert result.passed
    assert result.unexamined == ()


@pytest.mark.parametrize("reply", [text_reply("", 404), json_reply({}), json_reply({"Other": [RENAMED]})])
async def test_run_preflight_class_without_replacement_is_missing(reply: Reply) -> None:
    client, _ = client_of(replacing(reply))
    assert (await run_preflight(client, OLD_LOADER)).missing_nodes == ("OldLoader",)


@pytest.mark.parametrize("reply", [text_reply("oops", 500), text_reply("<html>"), text_reply("", 403)])
async def test_run_preflight_unknown_replacements_leave_class_unexamined(reply: Reply) -> None:
    """A gateway that blocks the route says nothing about the class."""
    client, _ = client_of(replacing(reply))
    result = await run_preflight(client, OLD_LOADER)
    assert result.passed
    assert [one.class_type for one in result.unexamined] == ["OldLoader"]


@pytest.mark.parametrize(
    ("version", "is_missing"),
    [
        ("0.3.75", False),
        ("0.7.0", False),
        ("0.8.0", True),
        ("v0.33.0", True),
        ("1.0", True),
        ("nightly", True),
        (5, True),
    ],
)
async def test_run_preflight_combo_counts_where_the_server_validates_it(version: object, *, is_missing: bool) -> None:
    """Before 0.8 ComfyUI accepts any value for a choice in the form `["COMBO", …]`."""
    loader = {"Loader": server(choice(NEW_SHAPE, "1.pt"))["Loader"]}
    stats = json_reply({"system": {"comfyui_version": version}})
    client, _ = client_of(
        dict.fromkeys(PATHS, json_reply(loader | {"A / B": {"input": {}}})) | {"/system_stats": stats}
    )
    assert (await run_preflight(client, SEVERAL)).passed == (not is_missing)


@pytest.mark.parametrize(
    ("reply", "error"), [(NotAnsweringError("away"), NotAnsweringError), (text_reply("", 401), AccessDeniedError)]
)
async def test_run_preflight_without_answer_raises(reply: Scripted, error: type[Exception]) -> None:
    client, _ = client_of({PATHS[0]: reply})
    with pytest.raises(error):
        await run_preflight(client, SEVERAL)
