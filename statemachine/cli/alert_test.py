"""`alert-test`: send a test message to alert channels, without the daemon and without retries."""

import asyncio
import time
import uuid
from typing import Annotated

import typer
from rich.text import Text

from statemachine.alerts.channels import Channel, SendError
from statemachine.alerts.dispatcher import channels_for
from statemachine.alerts.notification import trial_notification
from statemachine.cli.context import console, fail, run, settings_of
from statemachine.cli.wording import reader_language
from statemachine.core.messages import message, unknown
from statemachine.i18n.render import render
from statemachine.settings import Settings

Name = Annotated[str | None, typer.Argument(metavar="CHANNEL")]


def alert_test(context: typer.Context, channel: Name = None) -> None:
    """Send a test message to the channels of the settings and report the result.

    Exit code 0 if every address accepted it.
    """
    settings = settings_of(context)
    language = reader_language(settings)
    results = run(_send_all(settings, _names(settings, channel)), language)
    for place, error in results:
        result = message("cli.sent", place=place)
        if error is not None:
            result = message("cli.not_sent", place=place, error=error.message)
        console().print(Text(render(result, language)), soft_wrap=True)
    raise typer.Exit(0 if all(error is None for _, error in results) else 1)


def _names(settings: Settings, wanted: str | None) -> list[str]:
    channels = list(settings.alerts.channels)
    if not channels:
        fail(message("cli.no_channels"), reader_language(settings))
    if wanted is not None and wanted not in channels:
        fail(unknown("channel", wanted, channels), reader_language(settings))
    return channels if wanted is None else [wanted]


async def _send_all(settings: Settings, names: list[str]) -> list[tuple[str, SendError | None]]:
    """Send to all channels concurrently and return each result with its address, such as `ops[0]`."""
    places: dict[str, tuple[str, Channel]] = {}
    for name in names:
        channels = channels_for(settings.alerts.channels[name], time.time)
        places |= {f"{name}[{place}]" if len(channels) > 1 else name: (name, one) for place, one in enumerate(channels)}
    errors = await asyncio.gather(*(_send(settings, name, one) for name, one in places.values()))
    return list(zip(places, errors, strict=True))


async def _send(settings: Settings, name: str, channel: Channel) -> SendError | None:
    notification = trial_notification(name, str(uuid.uuid4()), reader_language(settings), time.time())
    try:
        await channel.send(notification)
    except SendError as error:
        return error
    return None
