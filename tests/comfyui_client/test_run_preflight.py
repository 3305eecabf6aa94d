"""The requests of the preflight, and what it makes of their answers."""

import orjson
import pytest

from statemachine.comfyui.errors import AccessDeniedError, NotAnsweringError
from statemachine.comfyui.preflight import run_preflight
from statemachine.comfyui.transport import Reply
from statemachine.comfyui.workflow import parse_workflow
from statemachine.i18n.render import sentence
from tests.comfyui_client.fakes import Scripted, client_of, json_reply, text_reply
from tests.comfyui_client.preflight_builders import NEW_SHAPE, OLD_LOADER, OLD_SHAPE, RENAMED, choice, server

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
