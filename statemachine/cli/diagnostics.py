"""The doctor's checks of one server, in the order in which new operators meet the problems.

Nothing is submitted. Whether a submission would be accepted is inferred from what the server lists.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

from statemachine.cli.findings import Finding, Mark, bad, care, good
from statemachine.cli.server_flags import explain
from statemachine.cli.server_handle import ServerHandle
from statemachine.comfyui.checks import AUTO_STEPS
from statemachine.comfyui.connect_errors import speaks_tls
from statemachine.comfyui.errors import (
    AccessDeniedError,
    ComfyError,
    NotAnsweringError,
    RateLimitedError,
)
from statemachine.comfyui.frames import is_session_start
from statemachine.comfyui.preflight import PreflightResult, run_preflight
from statemachine.comfyui.transport import Socket
from statemachine.comfyui.workflow import Workflow, WorkflowError
from statemachine.core import events
from statemachine.core.messages import Message, Param, message, verbatim
from statemachine.core.vocabulary import Reason
from statemachine.version import version

RAW_SHOWN = 300
LEVEL_CAVEATS = ("level_not_observed", "level_not_counted")
"""Messages that say for what no level is observed."""

GIB = 1024**3


async def examine(server: ServerHandle, files: Mapping[str, Workflow | WorkflowError]) -> list[Finding]:
    """Return every finding about one server; `files` are its workflow files."""
    reached = await _reach(server)
    found = [reached, *(_file_finding(name, file) for name, file in files.items())]
    if reached.mark is Mark.BAD:
        return found
    found += await _system(server)
    found += [finding async for finding in _checks(server)]
    found.append(await _websocket(server))
    found += [finding async for finding in _fitness(server)]
    found.append(await _would_accept(server, found))
    return found


async def _reach(server: ServerHandle) -> Finding:
    """Send the cheapest request that only ComfyUI answers."""
    url = server.config.url
    try:
        await server.client.queue_remaining()
    except NotAnsweringError as error:
        return await _no_answer(server, error)
    except AccessDeniedError as error:
        return _denied(server, error.message)
    except RateLimitedError as error:
        return bad("doctor.rate_limited", "doctor.rate_limited.advice", url=url, error=error.message)
    except ComfyError as error:
        if await _needs_https(server):
            return bad("doctor.https", "doctor.https.advice", url=url)
        return bad("doctor.not_comfyui", "doctor.not_comfyui.advice", url=url, error=error.message)
    return good("doctor.comfyui", url=url)


EXPLAINED = frozenset({"plain_http", "certificate_expired", "certificate_not_yet_valid", "certificate_wrong_name"})
"""Messages that name the remedy themselves. A connection was made, so neither ComfyUI nor a firewall is in doubt."""

UNTRUSTED = frozenset({"certificate_self_signed", "private_authority", "certificate_not_trusted"})


async def _no_answer(server: ServerHandle, error: NotAnsweringError) -> Finding:
    """Return the finding with the advice that fits the cause."""
    values: dict[str, Param] = {"url": server.config.url, "error": error.message}
    if error.message.code in EXPLAINED:
        return bad("doctor.no_answer", **values)
    if error.message.code in UNTRUSTED:
        return bad("doctor.no_answer", "doctor.untrusted.advice", **values)
    if error.message.code == "name_not_resolved":
        return bad("doctor.no_answer", "doctor.no_name.advice", **values)
    if error.message.code == "https_only":
        return bad("doctor.https", "doctor.https.advice", **values)
    return bad("doctor.no_answer", "doctor.no_answer.advice", **values)


async def _needs_https(server: ServerHandle) -> bool:
    """Return whether the server of an http URL speaks TLS."""
    return server.config.url.startswith("http:") and await speaks_tls(server.config.url, server.timeout_s)


def _denied(server: ServerHandle, error: Message) -> Finding:
    values: dict[str, Param] = {"url": server.config.url, "error": error, "variable": "${NAME}"}
    return bad("doctor.denied", "doctor.denied.advice", **values)


async def _system(server: ServerHandle) -> list[Finding]:
    """Return the version with its devices, and what the server's arguments mean."""
    try:
        stats = await server.client.system_stats()
    except ComfyError as error:
        return [_no_version(error.message)]
    match stats:
        case {"system": {"argv": [_, *arguments]}}:
            return [_version(stats), *explain(arguments)]
    return [_version(stats)]


def _version(stats: Mapping[str, Any]) -> Finding:
    try:
        version = str(stats["system"]["comfyui_version"])
        devices = [_device(device) for device in stats["devices"]]
    except (LookupError, TypeError) as error:
        return _no_version(repr(error))
    return good("doctor.version", version=version, devices=devices or message("doctor.no_device"))


def _no_version(cause: Message | str) -> Finding:
    return care("doctor.no_version", "doctor.no_version.advice", error=cause)


def _device(device: Mapping[str, object]) -> Message:
    free, total = device.get("vram_free"), device.get("vram_total")
    name = str(device["name"])
    if isinstance(free, int | float) and isinstance(total, int | float):
        return message("doctor.device_memory", name=name, free=f"{free / GIB:.1f}", total=f"{total / GIB:.1f}")
    return verbatim(name)


async def _checks(server: ServerHandle) -> AsyncIterator[Finding]:
    """Ask like the daemon: the configured kind, or with `auto` each kind until the server offers one."""
    configured = server.config.cache_check.kind
    for kinds in AUTO_STEPS if configured == "auto" else ((configured,),):
        kind = kinds[-1]
        if kind in ("inspire", "history") and not server.workflows:
            return
        try:
            result = await server.cache_check(kinds).ask(epoch=0)
        except NotAnsweringError as error:
            yield bad("doctor.check_unanswered", "doctor.try_again", kind=kind, error=error.message)
            return
        if isinstance(result.event, events.CheckAnswered):
            yield _answered(result.event, result.raw)
            if result.event.kind == "node":
                yield _release(result.node_release)
            yield _levels(result.event)
            return
        yield _unusable(server, kind, result.event)
        if result.event.reason is not Reason.CHECK_ABSENT:
            return


def _answered(event: events.CheckAnswered, raw: str) -> Finding:
    values: dict[str, Param] = {"kind": event.kind, "missing": event.missing or event.needed, "raw": _shown(raw)}
    if event.below and not event.missing:
        return good("doctor.check_below", keys=event.below, **values)
    if event.caveat is not None and event.caveat.code not in LEVEL_CAVEATS and not event.needed:
        return care("doctor.check_complete_but", "doctor.check_complete_but.advice", caveat=event.caveat, **values)
    if not event.needed:
        return good("doctor.check_complete", **values)
    if event.auto_executing:
        return care("doctor.check_loading", "doctor.check_loading.advice", **values)
    if event.caveat is not None:
        return care("doctor.check_displaced", "doctor.check_complete_but.advice", caveat=event.caveat, **values)
    return good("doctor.check_missing", **values)


def _release(found: str | None) -> Finding:
    """Compare the companion node's release with this one."""
    if found == version():
        return good("doctor.node_release", found=found)
    named = message("doctor.no_release") if found is None else found
    return care("doctor.node_differs", "doctor.node_differs.advice", found=named, own=version())


def _levels(event: events.CheckAnswered) -> Finding:
    """Return where the models of the keys are, or that nothing observes it."""
    if event.caveat is not None and event.caveat.code in LEVEL_CAVEATS:
        return care("doctor.wanted_not_observed", "doctor.wanted_not_observed.advice", caveat=event.caveat)
    if event.places is None:
        return good("doctor.level_not_observed", kind=event.kind)
    if not event.places:
        return good("doctor.no_levels")
    return good("doctor.levels", levels=[f"{key}: {place.level.word}" for key, place in event.places.items()])


def _unusable(server: ServerHandle, kind: str, event: events.CheckUnusable) -> Finding:
    values: dict[str, Param] = {"kind": kind, "path": server.config.cache_check.path, "error": event.message}
    if event.reason is not Reason.CHECK_ABSENT:
        return _answered_otherwise(server, event, values)
    if server.config.cache_check.kind != "auto":
        return bad("doctor.check_absent", "doctor.check_absent.advice", **values)
    if kind == "text":
        return care("doctor.text_absent", "doctor.text_absent.advice", **values)
    return care("doctor.kind_absent", "doctor.kind_absent.advice", **values)


def _answered_otherwise(server: ServerHandle, event: events.CheckUnusable, values: Mapping[str, Param]) -> Finding:
    if event.reason is Reason.ACCESS_DENIED:
        return _denied(server, event.message)
    if event.reason is Reason.RATE_LIMITED:
        url = server.config.url
        return bad("doctor.rate_limited", "doctor.rate_limited.advice", url=url, error=event.message)
    if event.reason is Reason.CACHE_DISABLED:
        return bad("doctor.cache_disabled", "doctor.cache_disabled.advice", **values)
    if event.reason is Reason.CACHE_TOO_SMALL:
        return bad("doctor.cache_disabled", "doctor.cache_too_small.advice", **values)
    return bad("doctor.check_unusable", "doctor.check_unusable.advice", **values)


async def _websocket(server: ServerHandle) -> Finding:
    """Open a socket and wait for the first frame that ComfyUI sends."""
    try:
        async with asyncio.timeout(server.timeout_s):
            socket = await server.transport.connect(uuid.uuid4().hex)
            try:
                return await _greeting(socket)
            finally:
                await socket.close()
    except TimeoutError:
        return bad("doctor.ws_silent", "doctor.ws.advice", seconds=server.timeout_s)
    except ComfyError as error:
        return bad("doctor.ws_failed", "doctor.ws.advice", error=error.message)


class _GreetedError(Exception):
    """The first frame has arrived."""


async def _greeting(socket: Socket) -> Finding:
    """Listen until the first frame. Raises NotAnsweringError."""
    with suppress(_GreetedError):
        await socket.listen(_expect_greeting)
    return good("doctor.ws")


def _expect_greeting(frame: str) -> None:
    if is_session_start(frame):
        raise _GreetedError


def _file_finding(name: str, file: Workflow | WorkflowError) -> Finding:
    if isinstance(file, WorkflowError):
        return bad("doctor.workflow_file", error=file.message)
    if not file.keys:
        return care("doctor.keyless", name=name)
    return good("doctor.workflow", name=name, nodes=len(file.graph), keys=file.keys)


async def _fitness(server: ServerHandle) -> AsyncIterator[Finding]:
    for workflow in server.workflows:
        try:
            result = await run_preflight(server.client, workflow)
        except ComfyError as error:
            yield bad("doctor.nodes_unreadable", "doctor.try_again", error=error.message)
            continue
        for finding in _fitness_of(workflow.name, result):
            yield finding


def _fitness_of(name: str, result: PreflightResult) -> list[Finding]:
    """Return what a workflow lacks and what could not be examined."""
    missing = [bad("doctor.unfit", "doctor.unfit.advice", name=name, problem=problem) for problem in result.messages]
    unexamined = [
        care("doctor.unexamined", "doctor.unexamined.advice", name=name, problem=one.message)
        for one in result.unexamined
    ]
    return [*missing, *unexamined] or [good("doctor.fit", name=name)]


async def _would_accept(server: ServerHandle, found: list[Finding]) -> Finding:
    """Infer whether a submission would succeed; only a submission would run the server's validation."""
    if any(finding.mark is Mark.BAD for finding in found):
        return bad("doctor.would_fail")
    try:
        queue = await server.client.queue()
    except ComfyError as error:
        return bad("doctor.queue_unreadable", "doctor.queue_unreadable.advice", error=error.message)
    if not queue.complete:
        return care(
            "doctor.queue_incomplete", "doctor.queue_incomplete.advice", listed=len(queue.items), length=queue.length
        )
    if queue.items:
        return care("doctor.queue_busy", "doctor.queue_busy.advice", waiting=queue.length)
    return good("doctor.would_succeed")


def _shown(raw: str) -> str:
    text = " ".join(raw.split())
    return repr(text if len(text) <= RAW_SHOWN else f"{text[:RAW_SHOWN]}…")
