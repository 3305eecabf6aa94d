"""`wanted`: how many servers each group needs."""

from typing import Annotated

import orjson
import typer
from rich.text import Text

from statemachine.cli.columns import aligned, headings
from statemachine.cli.context import client_settings_of, console, run, show_bytes
from statemachine.cli.names import group_names
from statemachine.cli.wording import reader_language
from statemachine.client import Fleet, WantedAnswer
from statemachine.client.answers import WantedGroupAnswer
from statemachine.core.messages import Message, harmless_json, message, one_line
from statemachine.i18n.render import render
from statemachine.i18n.text import Language
from statemachine.settings import Settings

UNKNOWN = "?"


def wanted(
    context: typer.Context,
    group: Annotated[str | None, typer.Option(metavar="NAME", autocompletion=group_names)] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Show how many servers each group needs, how many more or fewer than it has, and why."""
    settings = client_settings_of(context)
    language = reader_language(settings)
    answer = run(_ask(settings, group), language)
    if as_json:
        show_bytes(harmless_json(orjson.dumps(answer).decode()).encode())
    else:
        console().print(Text("\n").join(wanted_lines(answer, language)), soft_wrap=True)


async def _ask(settings: Settings, group: str | None) -> WantedAnswer:
    async with Fleet.from_settings(settings) as fleet:
        return await fleet.wanted(group=group)


def wanted_lines(answer: WantedAnswer, language: Language) -> list[Text]:
    """Return the target and a line for each group."""
    target = Text(render(message("cli.wanted.target", seconds=answer["target_wait_s"]), language))
    names = headings(("group", "servers", "wanted", "change", "why"), language)
    return [target, *aligned([names, *(_cells(one, language) for one in answer["groups"])])]


def _cells(one: WantedGroupAnswer, language: Language) -> list[Text]:
    why = Message(one.get("message_code", ""), text=one["message"])
    count, change = one["wanted"], one["change"]
    return [
        Text(one_line(one["group"])),
        Text(str(one["servers"])),
        Text(UNKNOWN if count is None else str(count)),
        Text(UNKNOWN if change is None else f"{change:+d}" if change else "0", style="yellow" if change else ""),
        Text(one_line(render(why, language))),
    ]
