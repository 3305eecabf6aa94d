"""`warm`, `pause`, `resume`, `restart`: an operator's action on a server or a group, sent to the running daemon."""

from typing import Annotated

import typer
from rich.text import Text

from statemachine.cli.context import client_settings_of, console, fail, run
from statemachine.cli.names import group_names, server_names
from statemachine.cli.rollout import RolloutLimit, restart_group
from statemachine.cli.wording import reader_language, state_text
from statemachine.client import AcceptedAnswer, Fleet
from statemachine.core.messages import message
from statemachine.core.vocabulary import State
from statemachine.i18n.render import render
from statemachine.i18n.text import Language
from statemachine.settings import Settings
from statemachine.settings.times import DurationError, parse_duration

Name = Annotated[str | None, typer.Argument(metavar="NAME", autocompletion=server_names)]
Group = Annotated[str | None, typer.Option("--group", metavar="NAME", autocompletion=group_names)]


UNDER_WAY = {
    ("restart", "draining"): "restart.draining",
    ("restart", "restarting"): "restart.restarting",
    ("restart", "unreachable"): "restart.unreachable",
    ("warm", "draining"): "warm.restarting",
    ("warm", "restarting"): "warm.restarting",
    ("resume", "draining"): "resume.draining",
    ("resume", "restarting"): "resume.restarting",
}
"""What follows an action on a server that is being restarted or away, by the state in which the action found it."""


def warm(context: typer.Context, name: Name = None, group: Group = None) -> None:
    """Ask the running daemon to warm a server, or a whole group, now."""
    _act(context, "warm", name, group)


def pause(
    context: typer.Context,
    name: Name = None,
    group: Group = None,
    duration: Annotated[str | None, typer.Option("--for", metavar="DURATION")] = None,
    note: Annotated[str | None, typer.Option(metavar="TEXT")] = None,
) -> None:
    """Pause a server, or a whole group: the daemon submits nothing to it, until it is resumed or the time is over."""
    if duration is not None:
        _require_duration(context, duration)
    _act(context, "pause", name, group, duration, note)


def _require_duration(context: typer.Context, duration: str) -> None:
    try:
        parse_duration(duration)
    except DurationError as error:
        language = reader_language(client_settings_of(context))
        raise typer.BadParameter(render(error.message, language), param_hint="--for") from None


def resume(context: typer.Context, name: Name = None, group: Group = None) -> None:
    """Resume a paused server, or a whole group."""
    _act(context, "resume", name, group)


def restart(
    context: typer.Context,
    name: Name = None,
    group: Group = None,
    max_unavailable: RolloutLimit = None,
    abort_after: RolloutLimit = None,
) -> None:
    """Restart a server with its hook, or every server of a group, a few at a time."""
    limits = {"--max-unavailable": max_unavailable, "--abort-after": abort_after}
    language = reader_language(client_settings_of(context))
    if group is None or name is not None:
        for option in (option for option, value in limits.items() if value is not None):
            raise typer.BadParameter(render(message("cli.rollout.only_group"), language), param_hint=option)
        _act(context, "restart", name, group)
    else:
        restart_group(context, group, max_unavailable, abort_after)


def _act(
    context: typer.Context,
    action: str,
    name: str | None,
    group: str | None,
    duration: str | None = None,
    note: str | None = None,
) -> None:
    settings = client_settings_of(context)
    language = reader_language(settings)
    if (name is None) == (group is None):
        raise typer.BadParameter(render(message("cli.name_or_group"), language))
    code, said = (f"{action}.for", {"duration": duration}) if duration is not None else (action, {})
    answer = run(_send(settings, action, name, group, duration, note), language)
    found = answer.get("state", "")
    if name is not None and action == "resume" and (action, found) not in UNDER_WAY and found:
        _not_paused(name, found, language)
        return
    if name is not None:
        code = UNDER_WAY.get((action, found), code)
        done = message(f"cli.{code}", name=name, **said)
    else:
        done = message(f"cli.group.{code}", name=group or "", servers=str(answer.get("servers")), **said)
    console().print(Text(render(done, language)), soft_wrap=True)


def _not_paused(name: str, state: str, language: Language) -> None:
    """Say that nothing was resumed. A failed server needs another command, so that is an error."""
    if state == State.FAILED.value:
        fail(message("cli.resume.failed", name=name), language)
    done = message("cli.resume.not_paused", name=name, state=state_text(state, language).plain)
    console().print(Text(render(done, language)), soft_wrap=True)


async def _send(
    settings: Settings, action: str, name: str | None, group: str | None, duration: str | None, note: str | None
) -> AcceptedAnswer:
    async with Fleet.from_settings(settings) as fleet:
        if action == "pause":
            return await fleet.pause(name, group=group, duration=duration, note=note)
        if action == "restart" and name is not None:
            return await fleet.restart(name)
        acts = {"warm": fleet.warm, "resume": fleet.resume}
        return await acts[action](name, group=group)
