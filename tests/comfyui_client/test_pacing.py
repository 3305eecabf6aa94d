"""The pause after a 429, in virtual time."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from typing_extensions import override

from campaigns.simulation.loop import VirtualLoop
from statemachine.comfyui.errors import NotAnsweringError, RateLimitedError, TooLargeError
from statemachine.comfyui.pacing import PacedTransport, RequestPause
from statemachine.comfyui.transport import MAX_PAUSE_S, Reply, Socket
from statemachine.core.messages import message
from tests.comfyui_client.fakes import FakeTransport, text_reply

OK = text_reply("ok")


def run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(work)


def paced(*replies: Reply) -> tuple[PacedTransport, FakeTransport, RequestPause]:
    inner = FakeTransport({"/queue": list(replies), "/prompt": text_reply("", 404)})
    pause = RequestPause(lambda: 2.0, lambda: 900.0)
    return PacedTransport(inner, pause), inner, pause


def limited(retry_after_s: float | None) -> Reply:
    return Reply(429, b"slow down", retry_after_s=retry_after_s)


@pytest.mark.parametrize(
    ("wanted_s", "pause_s"), [(30.0, 30.0), (0.0, 2.0), (None, 2.0), (float("inf"), MAX_PAUSE_S), (10**9, MAX_PAUSE_S)]
)
def test_nothing_is_sent_until_the_pause_has_passed(wanted_s: float | None, pause_s: float) -> None:
    async def scenario() -> None:
        transport, inner, pause = paced(limited(wanted_s), OK)
        with pytest.raises(RateLimitedError):
            await transport.request("GET", "/queue")
        await asyncio.sleep(pause_s - 0.5)
        for refused in (transport.request("GET", "/queue"), transport.connect("c")):
            with pytest.raises(RateLimitedError, match="another 1 s"):
                await refused
        assert inner.requests == ["/queue"]
        await asyncio.sleep(0.6)
        assert pause.left_s == 0.0
        assert (await transport.request("GET", "/queue")).status == 200

    run(scenario())


@pytest.mark.parametrize(("quiet_s", "last_s"), [(0.0, 16.0), (7.0, 16.0), (9.0, 2.0)])
def test_pause_without_retry_after_doubles_until_it_was_quiet(quiet_s: float, last_s: float) -> None:
    """Other routes may answer all the time, so that one answer does not end a row of limits."""

    async def scenario() -> None:
        transport, _, pause = paced(*[limited(None), OK] * 3, OK, limited(None))
        pauses = []
        for number in range(8):
            await asyncio.sleep(quiet_s if number == 6 else 0.0)
            try:
                await transport.request("GET", "/queue")
            except RateLimitedError:
                pauses.append(pause.left_s)
                await asyncio.sleep(pause.left_s)
        assert pauses == pytest.approx([2.0, 4.0, 8.0, last_s])

    run(scenario())


class LimitedSocket(FakeTransport):
    """A server that limits the rate of connections to /ws only."""

    @override
    async def connect(self, client_id: str) -> Socket:
        self.requests.append("/ws")
        raise RateLimitedError("slow down", 20.0)


def test_limited_socket_delays_only_the_next_connection() -> None:
    async def scenario() -> None:
        inner = LimitedSocket({"/queue": OK})
        transport = PacedTransport(inner, RequestPause(lambda: 2.0, lambda: 900.0))
        for _ in range(2):
            with pytest.raises(RateLimitedError):
                await transport.connect("c")
        await transport.request("GET", "/queue")
        assert inner.requests == ["/ws", "/queue"]
        await asyncio.sleep(20.1)
        with pytest.raises(RateLimitedError):
            await transport.connect("c")
        assert inner.requests == ["/ws", "/queue", "/ws"]

    run(scenario())


def test_absent_prompt_is_not_answering_without_a_pause() -> None:
    async def scenario() -> None:
        transport, _, pause = paced(OK)
        with pytest.raises(NotAnsweringError):
            await transport.request("GET", "/prompt")
        assert pause.left_s == 0.0

    run(scenario())


def too_large() -> TooLargeError:
    return TooLargeError(message("answer_too_large", route="GET /queue", size="65 MiB", limit="64 MiB"), 200, "[1,")


def test_path_with_too_large_answer_is_paused_longer_each_time() -> None:
    async def scenario() -> None:
        inner = FakeTransport({"/queue": too_large(), "/history/x": OK})
        transport = PacedTransport(inner, RequestPause(lambda: 2.0, lambda: 900.0))
        for pause_s in (30, 60, 120):
            with pytest.raises(TooLargeError, match=f"larger than 64 MiB .* asked again in {pause_s} s"):
                await transport.request("GET", "/queue")
            await asyncio.sleep(pause_s - 0.5)
            with pytest.raises(TooLargeError, match="asked again in 1 s") as withheld:
                await transport.request("GET", "/queue")
            assert withheld.value.raw == "[1,"
            await transport.request("GET", "/history/x")
            await asyncio.sleep(0.6)
        assert inner.requests.count("/queue") == 3
        inner.replies["/queue"] = OK
        await transport.request("GET", "/queue")
        inner.replies["/queue"] = too_large()
        with pytest.raises(TooLargeError, match="asked again in 30 s"):
            await transport.request("GET", "/queue")

    run(scenario())


def test_post_with_too_large_answer_is_not_withheld() -> None:
    async def scenario() -> None:
        inner = FakeTransport({"POST /prompt": too_large()})
        transport = PacedTransport(inner, RequestPause(lambda: 2.0, lambda: 900.0))
        for _ in range(2):
            with pytest.raises(TooLargeError):
                await transport.request("POST", "/prompt", b"{}")
        assert inner.requests == ["POST /prompt"] * 2

    run(scenario())
