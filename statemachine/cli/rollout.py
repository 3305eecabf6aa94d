"""`rollout`: the rolling restart of the running daemon, and its start by `restart --group`."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import orjson
import typer
from rich.text import Text

from statemachine.cli.context import client_settings_of, console, fail, run, show_bytes
from statemachine.cli.help import LocalizedCommand, LocalizedGroup
from statemachine.cli.wording import reader_language
from statemachine.client.access import daemon_api
from statemachine.client.api import DaemonApi, Json, group_path
from statemachine.client.errors import DaemonError, UnknownNameError, first_unknown
from statemachine.core.messages import Message, Param, harmless_json, message, verbatim
from statemachine.core.rollout import GOING_ON, MOST_SERVERS, MemberStage, RolloutAction, RunState, is_left
from statemachine.core.vocabulary import Reason
from statemachine.i18n.reasons import REASONS
from statemachine.i18n.render import render
from statemachine.i18n.rollouts import ROLLOUTS
from statemachine.i18n.text import Language
from statemachine.settings import Settings

PATH = "/api/rollout"

_CHANGED = {
    RunState.RUNNING.value: "cli.rollout.running_at",
    RunState.PAUSED.value: "cli.rollout.paused_at",
    RunState.CANCELLED.value: "cli.rollout.cancelled_at",
}

MOST_NAMES = 10
"""The names that are listed of the servers that an ended run leaves."""

RolloutLimit = Annotated[int | None, typer.Option(min=1, max=MOST_SERVERS, metavar="N")]

rollout = typer.Typer(cls=LocalizedGroup, no_args_is_help=True)


@rollout.command("status", cls=LocalizedCommand)
def status(context: typer.Context, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Show the rolling restart that is going on, or the last one."""
    settings = client_settings_of(context)
    language = reader_language(settings)
    answer = run(_latest(settings), language)
    found = answer["rollout"]
    if as_json:
        show_bytes(harmless_json(orjson.dumps(answer).decode()).encode())
    elif found is None:
        fail(message("cli.error.no_rollout"), language)
    else:
        servers = [_line(server, language) for server in found["servers"]]
        console().print(Text("\n".join([*run_lines(found, language), *servers])), soft_wrap=True)
    raise typer.Exit(0 if found is not None and _is_well(found) else 1)


@rollout.command("pause", cls=LocalizedCommand)
def pause(context: typer.Context) -> None:
    """Pause it: restarts that are under way go on, no other begins."""
    _act(context, RolloutAction.PAUSE)


@rollout.command("resume", cls=LocalizedCommand)
def resume(context: typer.Context) -> None:
    """Resume it, also after a cancellation or an abort: it goes on with the servers that it has not restarted."""
    _act(context, RolloutAction.RESUME)


@rollout.command("cancel", cls=LocalizedCommand)
def cancel(context: typer.Context) -> None:
    """Cancel it: restarts that are under way go on, no other begins."""
    _act(context, RolloutAction.CANCEL)


def restart_group(context: typer.Context, group: str, max_unavailable: int | None, abort_after: int | None) -> None:
    """Start a rolling restart of a group; the daemon has the defaults."""
    settings = client_settings_of(context)
    language = reader_language(settings)
    given = {"max_unavailable": max_unavailable, "abort_after": abort_after}
    body = {key: value for key, value in given.items() if value is not None}
    started = run(_start(settings, group, body), language)
    count, limit = str(len(started["servers"])), str(started["max_unavailable"])
    done = message("cli.rollout.started", name=group, servers=count, limit=limit)
    console().print(Text(render(done, language)), soft_wrap=True)


def _act(context: typer.Context, action: RolloutAction) -> None:
    settings = client_settings_of(context)
    language = reader_language(settings)
    found = run(_send(settings, action), language)
    console().print(Text("\n".join(run_lines(found, language))), soft_wrap=True)


async def _latest(settings: Settings) -> Json:
    async with daemon_api(settings) as api:
        return await api.get(PATH)


async def _send(settings: Settings, action: RolloutAction) -> Json:
    async with daemon_api(settings) as api:
        await api.act(PATH, action.value)
        return await _existing(api)


async def _start(settings: Settings, group: str, body: Json) -> Json:
    async with daemon_api(settings) as api:
        try:
            await api.act(group_path(group), "restart", body)
        except UnknownNameError as error:
            known = {server["group"] for server in (await api.get("/api/status"))["servers"]}
            raise first_unknown((), [], [group], known) or error from error
        return await _existing(api)


async def _existing(api: DaemonApi) -> Json:
    """Return the run that the daemon has just accepted or changed."""
    found: Json | None = (await api.get(PATH))["rollout"]
    if found is None:
        raise DaemonError(message("cli.error.no_rollout"))
    return found


def _is_well(found: Json) -> bool:
    return not (found["state"] == RunState.ABORTED or found["counts"].get("failed"))


def run_lines(found: Json, language: Language) -> list[str]:
    """Return the run in words: its state and progress, when it began and ended, and what is left."""
    limits = {key: str(found[key]) for key in ("max_unavailable", "abort_after")}
    said = [
        message("cli.rollout.head", group=found["group"], state=_word("state", found["state"])),
        _progress(found),
        message("cli.rollout.limits", **limits),
        *_times(found),
        *(_rest(found) if found["state"] not in GOING_ON else ()),
    ]
    return [render(one, language) for one in said]


def _progress(found: Json) -> Message:
    counts = {stage.value: found["counts"].get(stage, 0) for stage in MemberStage}
    what = message("rollout.progress", group=found["group"], total=sum(counts.values()), **counts)
    if found["reason"] is not None:
        what = message("rollout.because", what=what, why=_word("reason", found["reason"]))
    return what


def _times(found: Json) -> Iterator[Message]:
    """Return when the run began and ended, and when and by which client it was changed last."""
    yield _by("rollout.by", message("cli.rollout.started_at", time=_local(found["started_at"])), found["by"])
    if (changed_at := found.get("changed_at")) is not None:
        code = _CHANGED.get(found["state"], "cli.rollout.changed_at")
        yield _by("rollout.changed_by", message(code, time=_local(changed_at)), found["changed_by"])
    if found["ended_at"] is not None:
        yield message("cli.rollout.ended_at", time=_local(found["ended_at"]))


def _by(code: str, what: Message, client: str | None) -> Message:
    return what if client is None else message(code, what=what, by=client)


def _local(at: str) -> str:
    return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _rest(found: Json) -> Iterator[Message]:
    """Return which restarts an ended run leaves to their end, and which servers it has not restarted."""
    servers = found["servers"]
    if under_way := [one["server"] for one in servers if one["stage"] == MemberStage.RESTARTING]:
        yield message("cli.rollout.under_way", count=len(under_way), servers=under_way[:MOST_NAMES])
    if left := [one["server"] for one in servers if is_left(found["state"], one["stage"], one["reason"])]:
        yield message("cli.rollout.left", count=len(left), servers=left[:MOST_NAMES], group=found["group"])


def _line(server: Json, language: Language) -> str:
    shown: dict[str, Param] = {"server": verbatim(server["server"]), "stage": _word("stage", server["stage"])}
    if server["reason"] is None:
        return "  " + render(message("cli.rollout.member", **shown), language)
    shown["why"] = verbatim(_why(server["reason"], language))
    return "  " + render(message("cli.rollout.member_why", **shown), language)


def _why(reason: str, language: Language) -> str:
    """Return the text of a reason of the run, or of a server whose restart failed."""
    if reason in set(Reason):
        return REASONS[Reason(reason)].in_language(language)
    return render(_word("reason", reason), language)


def _word(kind: str, word: str) -> Message:
    """Return the text of a state, a stage or a reason; one of a newer daemon stays as it is."""
    code = f"rollout.{kind}.{word}"
    return message(code) if code in ROLLOUTS else verbatim(word)
