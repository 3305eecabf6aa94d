"""`rollout`: the rolling restart of the running daemon, and its start by `restart --group`."""

from functools import partial
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
from statemachine.core.messages import Message, message, verbatim
from statemachine.core.rollout import MOST_SERVERS, MemberStage, RolloutAction, RunState
from statemachine.core.text import harmless_json
from statemachine.core.vocabulary import Reason
from statemachine.i18n.reasons import REASONS
from statemachine.i18n.render import render
from statemachine.i18n.rollouts import ROLLOUTS
from statemachine.i18n.text import Language
from statemachine.settings import Settings

PATH = "/api/rollout"

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
        console().print(_lines(found, language), soft_wrap=True)
    raise typer.Exit(0 if found is not None and _is_well(found) else 1)


@rollout.command("pause", cls=LocalizedCommand)
def pause(context: typer.Context) -> None:
    """Pause it: restarts that are under way go on, no other begins."""
    _act(context, RolloutAction.PAUSE)


@rollout.command("resume", cls=LocalizedCommand)
def resume(context: typer.Context) -> None:
    """Resume it."""
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
    console().print(_lines({**found, "servers": []}, language), soft_wrap=True)


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


def _lines(found: Json, language: Language) -> Text:
    """Return the run in words: its state and progress, and then a line for each server."""
    said = partial(render, language=language)
    head = said(message("cli.rollout.head", group=found["group"], state=_word("state", found["state"])))
    lines = [head, said(_progress(found))]
    limits = {key: str(found[key]) for key in ("max_unavailable", "abort_after")}
    lines.append(said(message("cli.rollout.limits", **limits)))
    if found["changed_by"] is not None:
        lines.append(said(message("cli.rollout.changed_by", by=found["changed_by"])))
    return Text("\n".join([*lines, *(_line(server, language) for server in found["servers"])]))


def _progress(found: Json) -> Message:
    counts = {stage.value: str(found["counts"].get(stage, 0)) for stage in MemberStage}
    what = message("rollout.progress", group=found["group"], total=str(len(found["servers"])), **counts)
    if found["reason"] is not None:
        what = message("rollout.because", what=what, why=_word("reason", found["reason"]))
    return message("rollout.by", what=what, by=found["by"]) if found["by"] is not None else what


def _line(server: Json, language: Language) -> str:
    stage = render(_word("stage", server["stage"]), language)
    why = "" if server["reason"] is None else f": {_why(server['reason'], language)}"
    return f"  {server['server']}  {stage}{why}"


def _why(reason: str, language: Language) -> str:
    """Return the text of a reason of the run, or of a server whose restart failed."""
    if reason in set(Reason):
        return REASONS[Reason(reason)].in_language(language)
    return render(_word("reason", reason), language)


def _word(kind: str, word: str) -> Message:
    """Return the text of a state, a stage or a reason; one of a newer daemon stays as it is."""
    code = f"rollout.{kind}.{word}"
    return message(code) if code in ROLLOUTS else verbatim(word)
