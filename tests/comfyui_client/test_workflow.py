"""Workflow files: valid and invalid ones, the error texts, and the varied tag."""

import json
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.comfyui.workflow import (
    MAX_BYTES,
    WorkflowError,
    WorkflowMissingError,
    find_workflow,
    load_workflow,
    parse_workflow,
    with_varied_tag,
)
from tests.comfyui_client.workflow_builders import INSPIRE, LOADER, cache_node, parse, refusal
from tests.support.paths import WORKFLOWS

BUNDLED = WORKFLOWS


def test_workflow_of_the_folder_precedes_the_bundled_one(tmp_path: Path) -> None:
    assert find_workflow(tmp_path, "smoke", BUNDLED).is_bundled
    (tmp_path / "smoke.json").write_bytes(orjson.dumps({"1": {"class_type": "Own", "inputs": {}}}))
    own = find_workflow(tmp_path, "smoke", BUNDLED)
    assert (own.is_bundled, own.graph["1"]["class_type"]) == (False, "Own")


def test_invalid_workflow_of_the_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "smoke.json").write_text("{")
    with pytest.raises(WorkflowError) as refused:
        find_workflow(tmp_path, "smoke", BUNDLED)
    assert not isinstance(refused.value, WorkflowMissingError)


@pytest.mark.parametrize("name", ["other", "../smoke", "nothing/smoke"])
def test_workflow_without_a_file_of_its_name_is_missing(tmp_path: Path, name: str) -> None:
    with pytest.raises(WorkflowMissingError, match="file not found"):
        find_workflow(tmp_path / "workflows", name, BUNDLED / "none")


def test_load_workflow_cache_models_has_four_keys() -> None:
    workflow = load_workflow(BUNDLED / "cache_models.json")
    assert workflow.name == "cache_models"
    assert workflow.keys == ("pulid_eva_clip", "pulid_face_analysis", "pulid_model", "ben2_base")


def test_load_workflow_bundled_files_are_valid_exports() -> None:
    files = sorted(BUNDLED.glob("*.json"))
    assert {file.stem for file in files} >= {"cache_models", "smoke"}
    for file in files:
        assert all(node["_meta"]["title"] for node in load_workflow(file).graph.values())


def test_load_workflow_smoke_has_no_keys() -> None:
    workflow = load_workflow(BUNDLED / "smoke.json")
    assert workflow.keys == ()
    assert {node["class_type"] for node in workflow.graph.values()} == {"EmptyImage", "PreviewImage"}


def test_parse_workflow_cache_nodes_are_in_file_order() -> None:
    workflow = parse({"9": cache_node(key="b"), "1": LOADER, "2": cache_node(key="a"), "3": cache_node(key="b")})
    assert [(node.node_id, node.key) for node in workflow.cache_nodes] == [("9", "b"), ("2", "a"), ("3", "b")]
    assert workflow.keys == ("b", "a")


def test_parse_workflow_number_key_classes_are_not_cache_nodes() -> None:
    workflow = parse(
        {
            "1": LOADER,
            "2": cache_node("CacheBackendDataList //Inspire", key="listed"),
            "3": cache_node("CacheBackendDataNumberKey //Inspire", key=7),
            "4": cache_node("CacheBackendDataNumberKeyList //Inspire", key=8),
            "5": {"class_type": "RetrieveBackendData //Inspire", "inputs": {"key": "listed"}},
        }
    )
    assert workflow.keys == ("listed",)


def test_parse_workflow_companion_cache_model_is_cache_node() -> None:
    workflow = parse(
        {
            "1": LOADER,
            "2": cache_node("CacheModel //comfywarm", key="kept"),
            "3": {"class_type": "CachedModel //comfywarm", "inputs": {"key": "given"}},
            "4": {"class_type": "DropModel //comfywarm", "inputs": {"key": "dropped"}},
        }
    )
    assert workflow.keys == ("kept",)
    assert with_varied_tag(workflow, "s")["2"]["inputs"]["tag"].endswith("#s")


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"key": ["1", 0]}, "input key of a cache node comes from another node"),
        ({"key": 5}, "must be text, found a number"),
        ({"tag": None}, "input tag of a cache node must be text"),
        ({"key": "*"}, "'*'"),
        ({"key": "  "}, "use a name"),
        ({"data": "text"}, "data of a cache node must come from another node"),
    ],
)
def test_parse_workflow_uncheckable_cache_node_is_refused(inputs: dict[str, Any], expected: str) -> None:
    error = refusal({"1": LOADER, "2": cache_node(**inputs)})
    assert str(error).startswith("w.json, node '2': ")
    assert expected in str(error)


def test_parse_workflow_ui_format_error_names_the_export() -> None:
    error = refusal({"last_node_id": 2, "nodes": [{"id": 1, "type": "Loader"}], "links": [], "version": 0.4})
    assert "UI format" in str(error)
    assert "Export (API)" in str(error)
    assert "Save (API Format)" in str(error)


def test_parse_workflow_request_body_is_unwrapped() -> None:
    graph = {"1": LOADER, "2": cache_node()}
    assert parse({"prompt": graph, "client_id": "x"}) == parse(graph)


@pytest.mark.parametrize(("encoding", "name"), [("utf-16", "UTF-16"), ("utf-16-be", "UTF-16"), ("gbk", "GBK")])
def test_parse_workflow_in_another_encoding_names_it(encoding: str, name: str) -> None:
    text = json.dumps({"1": LOADER | {"_meta": {"title": "加载模型"}}}, ensure_ascii=False)
    with pytest.raises(WorkflowError, match=rf"^w\.json: this file is .*{name}; save it as UTF-8$"):
        parse_workflow("w", text.encode(encoding))


def test_parse_workflow_node_id_may_be_prompt() -> None:
    assert list(parse({"prompt": LOADER}).graph) == ["prompt"]


@pytest.mark.parametrize(
    ("graph", "where", "expected"),
    [
        ([], "w.json", "found a list"),
        (None, "w.json", "found nothing"),
        ({}, "w.json", "no nodes"),
        ({"prompt": {}}, "w.json", "no nodes"),
        ({"1": "text"}, "w.json, node '1'", "found text"),
        ({"1": {"inputs": {}}}, "w.json, node '1'", "class_type"),
        ({"1": {"class_type": 3, "inputs": {}}}, "w.json, node '1'", "class_type"),
        ({"1": {"class_type": "A"}}, "w.json, node '1'", "inputs must be an object, found nothing"),
        ({"1": {"class_type": "A", "inputs": []}}, "w.json, node '1'", "inputs must be an object"),
        (
            {"1": {"class_type": "A", "inputs": {"x": ["9", 0]}}},
            "w.json, node '1'",
            "'x' comes from node '9'",
        ),
    ],
)
def test_parse_workflow_invalid_graph_error_names_the_place(graph: object, where: str, expected: str) -> None:
    error = refusal(graph)
    assert str(error).startswith(f"{where}: ")
    assert expected in str(error)


@pytest.mark.parametrize("value", [["9"], ["9", "0"], [9, 0], ["9", 0, 0], ["9", True], "9"])
def test_parse_workflow_list_that_is_not_a_link_is_a_value(value: object) -> None:
    parse({"1": {"class_type": "A", "inputs": {"x": value}}})


def test_parse_workflow_cycle_is_refused_with_its_nodes() -> None:
    ring = {"a": "b", "b": "c", "c": "a"}
    graph = {node: {"class_type": "A", "inputs": {"x": [source, 0]}} for node, source in ring.items()}
    error = refusal(graph)
    assert "cycle" in str(error)
    assert all(repr(node) in str(error) for node in ring)


def test_parse_workflow_long_chain_is_accepted() -> None:
    chain = {f"{n}": {"class_type": "A", "inputs": {"x": [f"{n - 1}", 0]} if n else {}} for n in range(5_000)}
    assert len(parse(chain).graph) == 5_000


def test_parse_workflow_invalid_json_error_has_line_and_column() -> None:
    with pytest.raises(WorkflowError) as caught:
        parse_workflow("w", b'{\n  "1": {,\n}')
    assert str(caught.value).startswith("w.json:2:9: ")


def test_parse_workflow_byte_order_mark_is_skipped() -> None:
    assert parse_workflow("w", b"\xef\xbb\xbf" + json.dumps({"1": LOADER}).encode()) == parse({"1": LOADER})


@pytest.mark.parametrize("depth", [260, 5_000])
def test_parse_workflow_too_deep_nesting_is_refused(depth: int) -> None:
    data = b'{"1":{"class_type":"A","inputs":{"x":' + b"[" * depth + b"]" * depth + b"}}}"
    with pytest.raises(WorkflowError):
        parse_workflow("w", data)


@pytest.mark.parametrize("depth", range(245, 256))
def test_parse_workflow_accepts_only_what_can_be_sent(depth: int) -> None:
    deep = "[" * depth + "]" * depth
    for data in (
        f'{{"1": {{"class_type": "A", "inputs": {{"x": {deep}}}}}}}',
        f'{{"prompt": {{"1": {{"class_type": "A", "inputs": {{}}}}}}, "extra_data": {{"x": {deep}}}}}',
    ):
        with suppress(WorkflowError):
            workflow = parse_workflow("w", data.encode())
            orjson.dumps({"prompt": workflow.graph, "extra_data": workflow.extra_data})


def test_parse_workflow_size_limit_is_exact() -> None:
    data = json.dumps({"1": LOADER}).encode()
    parse_workflow("w", data.ljust(MAX_BYTES))
    with pytest.raises(WorkflowError, match="larger than the limit of 5,000,000 bytes"):
        parse_workflow("w", data.ljust(MAX_BYTES + 1))


@pytest.mark.parametrize("path", [Path("no/such/file.json"), Path(__file__).parent, Path("nul\0.json")])
def test_load_workflow_unreadable_file_is_refused(path: Path) -> None:
    with pytest.raises(WorkflowError):
        load_workflow(path)


def test_with_varied_tag_changes_only_tags_of_cache_nodes() -> None:
    workflow = parse({"1": {**LOADER, "inputs": {"tag": "mine"}}, "2": cache_node(), "3": cache_node(tag="")})
    before = json.dumps(workflow.graph)
    varied = with_varied_tag(workflow, "x1")
    assert [varied[node]["inputs"]["tag"] for node in "123"] == ["mine", "t#x1", "#x1"]
    for node, tag in (("2", "t"), ("3", "")):
        varied[node]["inputs"]["tag"] = tag
    assert varied == workflow.graph
    varied["1"]["inputs"]["tag"] = "changed"
    assert json.dumps(workflow.graph) == before


def test_with_varied_tag_no_new_tag_has_more_keys_than_its_store() -> None:
    """Inspire-Pack keeps five keys of a new tag with `ckpt`; the operator may have set more for the file's tag."""
    nodes = {str(number): cache_node(key=f"k{number}", tag="ckpt") for number in range(2, 100)}
    workflow = parse({"1": LOADER, **nodes})
    tags = [with_varied_tag(workflow, "s")[node]["inputs"]["tag"] for node in nodes]
    assert max(Counter(tags).values()) == 5
    assert tags[:6] == ["ckpt#s"] * 5 + ["ckpt#s.1"]


def test_with_varied_tag_accepts_deepest_valid_graph() -> None:
    deep = json.loads("[" * 240 + "]" * 240)
    workflow = parse({"1": {"class_type": "A", "inputs": {"x": deep}}, "2": cache_node()})
    assert with_varied_tag(workflow, "s")["1"] == workflow.graph["1"]


def test_digest_depends_on_content_only() -> None:
    one = parse_workflow("w", b'{"1":{"class_type":"A","inputs":{"x":1,"y":2}}}')
    same = parse_workflow("other", b'{ "1": {"inputs": {"y": 2, "x": 1}, "class_type": "A"} }')
    other = parse_workflow("w", b'{"1":{"class_type":"A","inputs":{"x":1,"y":3}}}')
    assert one.digest == same.digest != other.digest
    assert len(one.digest) == 16
    assert int(one.digest, 16) >= 0


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["1", "*", INSPIRE]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["1", "2", "prompt", "nodes", "class_type", "inputs", "key", "tag"]), inner)
    ),
    max_leaves=15,
)


def parses_or_refuses(data: bytes) -> None:
    with suppress(WorkflowError):
        workflow = parse_workflow("w", data)
        assert workflow.graph
        with_varied_tag(workflow, "s")


@given(st.binary(max_size=200))
def test_parse_workflow_any_bytes_raise_only_workflow_error(data: bytes) -> None:
    parses_or_refuses(data)


@given(json_values)
def test_parse_workflow_any_json_raises_only_workflow_error(value: object) -> None:
    parses_or_refuses(json.dumps(value).encode())


@given(st.dictionaries(st.sampled_from(["key", "tag", "data"]), json_values))
def test_parse_workflow_any_cache_node_raises_only_workflow_error(inputs: dict[str, object]) -> None:
    parses_or_refuses(json.dumps({"1": LOADER, "2": {"class_type": INSPIRE, "inputs": inputs}}).encode())


def test_workflow_in_a_western_encoding_names_the_place() -> None:
    with pytest.raises(WorkflowError) as caught:
        parse_workflow("w", '{"1":\n{"class_type": "L\u00e4den", "inputs": {}}}'.encode("cp1252"))
    assert str(caught.value) == "w.json:2:18: this file is not UTF-8; save it as UTF-8"
