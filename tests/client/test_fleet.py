"""`Fleet`: what it asks a daemon, and which errors it raises."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from statemachine.client import (
    DaemonError,
    DaemonRefusedError,
    DaemonUnavailableError,
    Fleet,
    NoneWarmError,
    TokenError,
    UnknownNameError,
)
from statemachine.core.pause import PauseTerms
from statemachine.core.ports import Action
from statemachine.core.vocabulary import Reason, State
from tests.cli.rig import SmallDaemon, program, small_daemon, write_settings
from tests.support.ports import free_port
from tests.web.site import COLD, LOADED, view

SOURCE = {
    "name": "rack",
    "kind": "file",
    "servers": 1,
    "missing": 0,
    "answered_at": None,
    "failures": 0,
    "error": None,
    "refused": [],
}
"""A source as in the answer of a daemon of an earlier checkout."""


async def test_status_returns_every_server(fleet: Fleet) -> None:
    answer = await fleet.status()
    assert [(one["name"], one["state"]) for one in answer["servers"]] == [(LOADED, "loaded"), (COLD, "cold")]


@pytest.mark.parametrize("action", ["check", "warm", "pause", "resume"])
async def test_action_is_sent_for_a_server_and_a_group(daemon: SmallDaemon, fleet: Fleet, action: str) -> None:
    said = {"state": "cold"} if action == "resume" else {}  # it is not paused
    assert await getattr(fleet, action)(COLD) == {"server": COLD, "action": action, **said}
    assert (await getattr(fleet, action)(group="default")).get("servers") == 2
    assert daemon.operator.actions == [(name, Action(action)) for name in (COLD, LOADED, COLD)]


def test_fleet_has_a_method_for_each_action() -> None:
    assert [action.value for action in Action if not callable(getattr(Fleet, action.value, None))] == []


async def test_restart_is_sent_for_a_server(daemon: SmallDaemon, fleet: Fleet) -> None:
    assert await fleet.restart(COLD) == {"server": COLD, "action": "restart"}
    assert daemon.operator.actions == [(COLD, Action.RESTART)]


async def test_pause_sends_duration_end_and_note(daemon: SmallDaemon, fleet: Fleet) -> None:
    end = datetime(1970, 3, 1, tzinfo=UTC)
    await fleet.pause(COLD, duration="2h", note="driver update")
    await fleet.pause(COLD, until=end)
    await fleet.pause(COLD)
    first, second, third = (terms for terms in daemon.operator.terms if isinstance(terms, PauseTerms))
    assert (first.until, first.note) == (7200.0, "driver update")
    assert second.until == end.timestamp()
    assert third.until is None


@pytest.mark.parametrize("given", [{}, {"server": COLD, "group": "default"}])
async def test_action_with_no_or_two_targets_is_an_error(fleet: Fleet, given: dict[str, str]) -> None:
    with pytest.raises(DaemonError, match="either a server or a group"):
        await fleet.warm(**given)


async def test_unknown_name_is_an_error_with_suggestions(fleet: Fleet) -> None:
    with pytest.raises(UnknownNameError, match=f"did you mean {COLD}"):
        await fleet.warm(COLD[:-1])
    with pytest.raises(UnknownNameError, match="did you mean default"):
        await fleet.pause(group="defualt")
    with pytest.raises(UnknownNameError, match="available: default"):
        await anext(fleet.events(group=["lab"]))
    with pytest.raises(UnknownNameError, match=f"did you mean {COLD}"):
        await fleet.wait_until_warm(COLD[:-1])
    with pytest.raises(UnknownNameError):
        await fleet.log(server="nowhere")


async def test_invalid_filter_is_an_error_of_the_daemon(fleet: Fleet) -> None:
    with pytest.raises(DaemonRefusedError) as raised:
        await anext(fleet.events(state="warmish"))
    assert (raised.value.status, raised.value.code) == (400, "invalid_state")


async def test_log_returns_pages_of_the_filtered_log(daemon: SmallDaemon, fleet: Fleet) -> None:
    await daemon.write(COLD, ["one", "two", "three"])
    await daemon.write(LOADED, ["four"])
    page = await fleet.log(limit=2, server=COLD)
    rest = await fleet.log(limit=2, server=[COLD], before=page["next"])
    assert [one["message"] for one in page["entries"] + rest["entries"]] == ["three", "two", "one"]


async def test_route_without_a_need_returns_a_warm_server(fleet: Fleet) -> None:
    assert (await fleet.route(group="default"))["server"] == LOADED


async def test_route_for_models_returns_costs(fleet: Fleet) -> None:
    choice = await fleet.route(models=["a.safetensors"])
    assert (choice["server"], choice["missing"]) == (LOADED, ["a.safetensors"])


async def test_route_without_a_warm_server_is_an_error(tmp_path: Path) -> None:
    daemon = SmallDaemon(tmp_path)
    daemon.views = [view(COLD, State.COLD, Reason.KEYS_MISSING)]
    await daemon.start()
    async with Fleet(f"http://127.0.0.1:{daemon.port}") as fleet:
        with pytest.raises(NoneWarmError, match="try again later"):
            await fleet.route()
        with pytest.raises(UnknownNameError, match="no server"):
            await fleet.route(workflow="nowhere")
    await daemon.stop()


async def test_route_with_two_needs_is_refused(fleet: Fleet) -> None:
    with pytest.raises(DaemonRefusedError, match="send one of"):
        await fleet.route(models=["a"], workflow="b")


@pytest.mark.parametrize("token", [None, "wrong"])
async def test_wrong_token_is_an_error_with_advice(
    tmp_path: Path, token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COMFYWARM_TOKEN", raising=False)
    async with (
        small_daemon(tmp_path, token="a-token-for-tests") as daemon,
        Fleet(f"http://127.0.0.1:{daemon.port}", token=token) as fleet,
    ):
        assert (await fleet.status())["total"] == 2
        with pytest.raises(TokenError, match="COMFYWARM_TOKEN"):
            await fleet.warm(COLD)


async def test_address_and_token_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with small_daemon(tmp_path, token="a-token-for-tests") as daemon:
        monkeypatch.setenv("COMFYWARM_URL", f"http://127.0.0.1:{daemon.port}/")
        monkeypatch.setenv("COMFYWARM_TOKEN", "a-token-for-tests")
        async with Fleet() as fleet:
            await fleet.warm(COLD)
    assert daemon.operator.actions == [(COLD, Action.WARM)]


async def test_from_settings_has_address_and_token(tmp_path: Path) -> None:
    async with (
        small_daemon(tmp_path, token="a-token-for-tests") as daemon,
        Fleet.from_settings(str(daemon.settings())) as fleet,
    ):
        await fleet.warm(COLD)
    assert daemon.operator.actions == [(COLD, Action.WARM)]


async def test_no_daemon_is_an_error_that_says_how_to_start_it(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with (
        Fleet(url) as fleet,
        Fleet.from_settings(write_settings(tmp_path, listen={"port": free_port()})) as other,
    ):
        for asked in (fleet.status(), fleet.warm("a"), fleet.wait_until_warm(), anext(fleet.events()), other.status()):
            with pytest.raises(DaemonUnavailableError, match=r"connection refused\); start it with `comfywarm serve`"):
                await asked


async def test_silent_daemon_is_an_error_after_the_timeout() -> None:
    ended = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        ended.set()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Fleet(f"http://127.0.0.1:{port}", timeout_s=0.05) as fleet:
            with pytest.raises(DaemonUnavailableError, match="did not answer in time"):
                await fleet.status()
        await ended.wait()


@pytest.mark.parametrize("body", [b"hello", b"[]", b'{"server": "a"}'])
async def test_answer_of_another_program_is_an_error(body: bytes) -> None:
    async with program(body) as server, Fleet(str(server.make_url(""))) as fleet:
        for asked in (fleet.status(), fleet.route(), fleet.route(models=["a"]), fleet.log(), fleet.sources()):
            with pytest.raises(DaemonUnavailableError, match="is not a comfywarm daemon"):
                await asked


@pytest.mark.parametrize(
    ("status", "answer", "names"),
    [
        (200, {"sources": [SOURCE]}, ["rack"]),
        (404, {"error": {"code": "not_found", "message": "Not Found"}}, []),
    ],
    ids=["fewer_fields", "no_route"],
)
async def test_sources_of_an_earlier_daemon_are_readable(status: int, answer: Any, names: list[str]) -> None:
    async with program(orjson.dumps(answer), status) as server, Fleet(str(server.make_url(""))) as fleet:
        assert [one["name"] for one in (await fleet.sources())["sources"]] == names


async def test_refused_request_for_sources_is_an_error() -> None:
    answer = {"error": {"code": "token_required", "message": "send a token"}}
    async with program(orjson.dumps(answer), 401) as server, Fleet(str(server.make_url(""))) as fleet:
        with pytest.raises(TokenError):
            await fleet.sources()


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("127.0.0.1:8799", "use http://HOST:PORT"),
        ("ftp://127.0.0.1", "use http://HOST:PORT"),
        ("http://", "use http://HOST:PORT"),
        ("http://a:99999", "use http://HOST:PORT"),
        ("http://a/?token=b", "use http://HOST:PORT"),
        ("http://me:my-secret@127.0.0.1:8799", "pass token=TOKEN"),
    ],
)
def test_unusable_address_is_an_error_with_advice(url: str, advice: str) -> None:
    with pytest.raises(DaemonError, match=advice) as raised:
        Fleet(url)
    assert "my-secret" not in str(raised.value)


async def test_unreadable_certificate_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    for certificate in (tmp_path / "nowhere.pem", empty):
        async with Fleet("https://127.0.0.1:1", certificate=certificate) as fleet:
            with pytest.raises(DaemonError, match=f"cannot read the certificate .*{certificate.name}") as raised:
                await fleet.status()
        assert "Errno" not in str(raised.value)
