"""The situations: each function brings one about and returns what was seen, or raises AssertionError if it is wrong."""

import time
from datetime import datetime

from statemachine.core.vocabulary import Reason, State
from tests.comfyui.daemon import RealServersClient, warm_ups_in
from tests.comfyui.matrix.foreign import run_beside
from tests.comfyui.matrix.kinds import Kind
from tests.comfyui.rig import RealServer
from tests.support.daemon import Json

TIMEOUT_S = 90.0
RESOLUTION_S = 0.001
"""Of the times in the API."""


def is_loaded(detail: Json) -> bool:
    """Return whether the server is loaded and none of our prompts is in flight."""
    return detail["state"] == State.LOADED.value and not detail["prompt_id"]


async def is_loaded_by(daemon: RealServersClient, server: RealServer, warm_ups: int) -> Json:
    """Wait until the server is loaded and has run so many warm-ups since its start, by its own history."""
    detail = await daemon.wait_until(server, is_loaded, TIMEOUT_S)
    found = warm_ups_in(await server.history())
    assert len(found) == warm_ups, f"{counted(len(found), 'warm-up')} instead of {warm_ups}"
    return detail


async def cold(daemon: RealServersClient, server: RealServer, kind: Kind) -> str:
    """Wait until the cold server is loaded by one prompt that a frame has confirmed."""
    detail = await is_loaded_by(daemon, server, warm_ups=1)
    assert detail["check"]["kind"] == kind.name, f"checked by {detail['check']['kind']}"
    assert len(await server.history()) == 1, "the server ran other prompts too"
    (attempt,) = detail["attempts"]
    assert attempt["outcome"] == "succeeded", attempt["outcome"]
    assert attempt["confirmed_by"] == "ws", f"confirmed by {attempt['confirmed_by']}"
    return "1 prompt, confirmed by ws"


async def eviction(daemon: RealServersClient, server: RealServer, kind: Kind) -> str:
    """Remove the keys, or run another client's prompt where there are none; wait until all is loaded again."""
    before = len(warm_ups_in(await server.history()))
    evicted_at = await (remove_keys(server) if kind.has_keys else run_beside(server))
    detail = await daemon.wait_until(server, lambda detail: exits_from_loaded(detail, evicted_at), TIMEOUT_S)
    noticed_after = min(exits_from_loaded(detail, evicted_at)) - evicted_at
    detail = await daemon.wait_until(server, is_loaded, TIMEOUT_S)
    if kind.has_keys:
        assert sorted(await server.cached_keys()) == ["a", "b"], "keys are missing"
    prompts = len(warm_ups_in(await server.history())) - before
    assert detail["check"]["kind"] == kind.name, f"checked by {detail['check']['kind']}"
    assert prompts == (2 if kind.has_keys else 1), counted(prompts, "prompt")
    return f"noticed after {milliseconds(noticed_after)}; {counted(prompts, 'prompt')}"


async def remove_keys(server: RealServer) -> float:
    """Remove all keys without a prompt; return when, in seconds since the epoch."""
    answer = await server.post("/rig/drop", {"keys": await server.cached_keys()})
    return time.time() - (time.monotonic() - float(answer["at"]))


def exits_from_loaded(detail: Json, since: float) -> list[float]:
    """Return when the server ceased to be loaded after `since`, in seconds since the epoch."""
    times = [seconds(one["at"]) for one in detail["transitions"] if one["from"] == State.LOADED.value]
    return [at for at in times if at >= since - RESOLUTION_S]


def milliseconds(duration_s: float) -> str:
    return f"{max(duration_s, RESOLUTION_S) * 1000:.0f} ms"


def seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


async def restart(daemon: RealServersClient, server: RealServer, kind: Kind) -> str:
    """Kill the server and start it; wait until it is loaded by one prompt."""
    await server.kill()
    await daemon.wait_state(server, State.UNREACHABLE.value, TIMEOUT_S)
    await server.start()
    started = time.monotonic()
    await is_loaded_by(daemon, server, warm_ups=1)
    return f"loaded {time.monotonic() - started:.1f} s after its first answer; 1 prompt"


async def foreign_client(daemon: RealServersClient, server: RealServer, kind: Kind) -> str:
    """Let another client run a prompt. It gets its result, and a server with keys needs no warm-up afterwards."""
    ended_at = await run_beside(server)
    await daemon.wait_until(server, lambda detail: saw_foreign_work(detail, ended_at), TIMEOUT_S)
    after = 0 if kind.has_keys else 1
    await is_loaded_by(daemon, server, warm_ups=1 + after)
    return f"served; {counted(after, 'warm-up')} after it"


def saw_foreign_work(detail: Json, since: float) -> bool:
    """Return whether the daemon has noticed that foreign work ended after `since`, in seconds since the epoch."""
    reasons = {one["reason"] for one in detail["transitions"] if seconds(one["at"]) >= since - RESOLUTION_S}
    return Reason.FOREIGN_WORK_FINISHED in reasons


async def failure(daemon: RealServersClient, server: RealServer, reason: Reason, prompts: int) -> str:
    """Wait for the failure; the reason must be this one, and the server must have run so many prompts."""
    detail = await daemon.wait_state(server, State.FAILED.value, TIMEOUT_S)
    assert detail["reason"] == reason, f"{detail['reason']}: {detail['message']}"
    found = len(await server.history())
    assert found == prompts, counted(found, "prompt")
    return f"`{reason}`, {counted(found, 'prompt')}"


def counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
