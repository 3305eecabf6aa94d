"""What the doctor looks at on one server, in the order in which a newcomer meets the troubles.

Nothing is submitted. Whether a submission would be accepted is concluded from what the server lists.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from rich.text import Text

from statemachine.cli.asking import ServerHandle
from statemachine.cli.say import Say
from statemachine.comfyui.checks import AUTO_STEPS
from statemachine.comfyui.errors import AccessDeniedError, ComfyError, NotAnsweringError
from statemachine.comfyui.frames import is_session_start
from statemachine.comfyui.preflight import fitness
from statemachine.comfyui.transport import Socket
from statemachine.comfyui.workflow import Workflow, WorkflowError
from statemachine.core import events
from statemachine.core.text import one_line
from statemachine.core.vocabulary import Reason


class Mark(Enum):
    """The sign before the line. Only BAD is a "no"."""

    GOOD = ("✓", "green")
    BAD = ("✗", "red")
    CARE = ("!", "yellow")


@dataclass(frozen=True, slots=True)
class Finding:
    """`said` is a key of `doctor_words.ZH` with its values; so is `advice`, where there is any."""

    mark: Mark
    said: Say
    advice: Say | None = None


def good(english: str, /, **values: object) -> Finding:
    """All is well."""
    return Finding(Mark.GOOD, Say(english, values))


def bad(english: str, advice: str = "", /, **values: object) -> Finding:
    """comfywarm cannot work so."""
    return Finding(Mark.BAD, Say(english, values), Say(advice, values) if advice else None)


def care(english: str, advice: str = "", /, **values: object) -> Finding:
    """It works, but somebody should know."""
    return Finding(Mark.CARE, Say(english, values), Say(advice, values) if advice else None)


def line(finding: Finding, language: str) -> Text:
    """For people."""
    sign, style = finding.mark.value
    text = Text.assemble((f"  {sign} ", style), one_line(finding.said.in_language(language)))
    if finding.advice is not None:
        text.append(f"\n      → {one_line(finding.advice.in_language(language))}", style="dim")
    return text


RAW_SHOWN = 300
GIB = 1024**3


async def examine(peer: ServerHandle, files: Mapping[str, Workflow | WorkflowError]) -> list[Finding]:
    """Every finding about one server; `files` are its workflow files."""
    reached = await _reach(peer)
    found = [reached, *(_judge_file(name, file) for name, file in files.items())]
    if reached.mark is Mark.BAD:
        return found
    found.append(await _version(peer))
    found += [finding async for finding in _checks(peer)]
    found.append(await _link(peer))
    found += [finding async for finding in _fit(peer)]
    found.append(await _would_accept(peer, found))
    return found


async def _reach(peer: ServerHandle) -> Finding:
    """The cheapest question that only a ComfyUI answers."""
    url = peer.config.url
    try:
        await peer.client.queue_remaining()
    except NotAnsweringError as error:
        advice = "Is ComfyUI running there, with --listen, on this port, and does no firewall stand between?"
        return bad("{url} does not answer: {error}", advice, url=url, error=error)
    except AccessDeniedError as error:
        advice = 'Give its credentials in the settings: "headers": {{"Authorization": "Bearer ${{NAME}}"}}.'
        return bad("{url} wants credentials: {error}", advice, url=url, error=error)
    except ComfyError as error:
        advice = "Another program listens on this port, or a proxy changes the path: correct the URL."
        return bad("{url} answers, but not as a ComfyUI does: {error}", advice, url=url, error=error)
    return good("{url} answers as a ComfyUI does", url=url)


async def _version(peer: ServerHandle) -> Finding:
    try:
        stats = await peer.client.system_stats()
        version = stats["system"]["comfyui_version"]
        devices = ", ".join(_device(device) for device in stats["devices"])
    except (ComfyError, LookupError, TypeError) as error:
        return care("it does not say which version it is: {error}", "Update ComfyUI if it is old.", error=error)
    return good("version {version} on {devices}", version=version, devices=devices or "-")


def _device(device: Mapping[str, object]) -> str:
    free, total = device.get("vram_free"), device.get("vram_total")
    is_known = isinstance(free, int | float) and isinstance(total, int | float)
    memory = f" ({free / GIB:.1f} / {total / GIB:.1f} GiB free)" if is_known else ""  # type: ignore[operator]
    return f"{device['name']}{memory}"


async def _checks(peer: ServerHandle) -> AsyncIterator[Finding]:
    """As the daemon asks: with `auto` one kind after the other until the server offers one, else the configured one."""
    configured = peer.config.cache_check.kind
    for kinds in AUTO_STEPS if configured == "auto" else ((configured,),):
        kind = kinds[-1]
        if kind in ("inspire", "history") and not peer.workflows:
            return
        try:
            result = await peer.cache_check(kinds).ask(epoch=0)
        except NotAnsweringError as error:
            yield bad("cache check {kind}: {error}", "Try again; is the server overloaded?", kind=kind, error=error)
            return
        if isinstance(result.event, events.CheckAnswered):
            yield _answered(result.event, result.raw)
            return
        yield _unusable(peer, kind, result.event)
        if result.event.reason is not Reason.CHECK_ABSENT:
            return


def _answered(event: events.CheckAnswered, raw: str) -> Finding:
    values = {"kind": event.kind, "missing": ", ".join(event.missing or event.needed), "raw": _shown(raw)}
    if not event.needed:
        return good("cache check {kind} answers: everything is cached; its text: {raw}", **values)
    if event.auto_executing:
        advice = "comfywarm waits until the server has done so."
        return care(
            "cache check {kind}: {missing} missing, the server loads by itself; its text: {raw}", advice, **values
        )
    return good("cache check {kind} answers: {missing} missing; its text: {raw}", **values)


def _unusable(peer: ServerHandle, kind: str, event: events.CheckUnusable) -> Finding:
    values = {"kind": kind, "path": peer.config.cache_check.path, "error": event.message}
    if event.reason is not Reason.CHECK_ABSENT:
        advice = "Correct cache_check.path, or choose another cache_check.kind: auto, node, text, inspire or history."
        return bad("cache check {kind} cannot be used: {error}", advice, **values)
    if peer.config.cache_check.kind != "auto":
        advice = 'Install the plug-in that offers it, correct cache_check.path, or set cache_check.kind to "auto".'
        return bad("cache check {kind} is not offered (path {path})", advice, **values)
    if kind == "text":
        advice = "If a plug-in offers it elsewhere, set cache_check.path; otherwise the next kind is used."
        return care("cache check text is not offered at {path}", advice, **values)
    return care("cache check {kind} is not offered", "The next kind is used.", **values)


async def _link(peer: ServerHandle) -> Finding:
    """Open a socket and wait for the frame with which ComfyUI greets."""
    advice = "A proxy in between must pass WebSockets on (Upgrade and Connection headers) at /ws."
    try:
        async with asyncio.timeout(peer.timeout_s):
            socket = await peer.transport.connect(uuid.uuid4().hex)
            try:
                return await _greeting(socket)
            finally:
                await socket.close()
    except TimeoutError:
        return bad("/ws opens but says nothing within {timeout:g} s", advice, timeout=peer.timeout_s)
    except ComfyError as error:
        return bad("/ws does not deliver: {error}", advice, error=error)


class _GreetedError(Exception):
    """The frame that was waited for has come."""


async def _greeting(socket: Socket) -> Finding:
    """Listening ends with the greeting, or with NotAnsweringError."""
    with suppress(_GreetedError):
        await socket.listen(_expect_greeting)
    return good("/ws delivers")


def _expect_greeting(frame: str) -> None:
    if is_session_start(frame):
        raise _GreetedError


def _judge_file(name: str, file: Workflow | WorkflowError) -> Finding:
    if isinstance(file, WorkflowError):
        return bad("workflow file {where}: {sentence}", where=file.where, sentence=file.sentence)
    values = {"name": name, "nodes": len(file.graph), "keys": ", ".join(file.keys)}
    if not file.keys:
        return care("workflow {name} is in API format, but has no cache nodes: only history can prove it", **values)
    return good("workflow {name} is in API format: {nodes} nodes; it caches {keys}", **values)


async def _fit(peer: ServerHandle) -> AsyncIterator[Finding]:
    for workflow in peer.workflows:
        try:
            lacking = (await fitness(peer.client, workflow)).sentences
        except ComfyError as error:
            yield bad("its nodes cannot be read: {error}", "Try again; is the server overloaded?", error=error)
            continue
        for sentence in lacking:
            advice = "Install the plug-in or the file there, or correct the workflow."
            yield bad("workflow {name}: {sentence}", advice, name=workflow.name, sentence=sentence)
        if not lacking:
            yield good("workflow {name}: its nodes and model files are there", name=workflow.name)


async def _would_accept(peer: ServerHandle, found: list[Finding]) -> Finding:
    """A conclusion: the server's own validation is only seen by submitting, which is not done."""
    if any(finding.mark is Mark.BAD for finding in found):
        return bad("a submission would not do: see each ✗ above")
    try:
        waiting = len(await peer.client.queue())
    except ComfyError as error:
        return bad("its queue cannot be read: {error}", "Without the queue nothing is ever submitted.", error=error)
    if waiting:
        advice = "comfywarm waits for it first, see timing.busy_wait_s."
        return care("a submission would be accepted, but {waiting} prompts are in the queue", advice, waiting=waiting)
    return good("a submission would be accepted, as far as can be told without submitting")


def _shown(raw: str) -> str:
    text = " ".join(raw.split())
    return repr(text if len(text) <= RAW_SHOWN else f"{text[:RAW_SHOWN]}…")
