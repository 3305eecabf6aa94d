"""`alert-test`: does a message arrive? Sent from here, without the daemon, once and without retries."""

import asyncio
import time
import uuid
from typing import Annotated

import typer
from rich.text import Text

from statemachine.alerts.channel import Channel, SendError
from statemachine.alerts.dispatcher import channels_for
from statemachine.alerts.notification import trial_letter
from statemachine.cli.context import console, fail, run, settings_of
from statemachine.settings import Settings

NO_CHANNELS = "the settings have no alerts.channels; docs/alerts.md shows how to write them"
SENT = "taken; look whether it has arrived, for some services take what they do not deliver"

Name = Annotated[str | None, typer.Argument(help="The channel; without it, all of them.", metavar="CHANNEL")]


def alert_test(context: typer.Context, channel: Name = None) -> None:
    """Send a test message to the channels of the settings and say what came of it.

    Exit code 0 if every address took it.
    """
    settings = settings_of(context)
    results = run(_send_all(settings, _names(settings, channel)))
    for place, error in results:
        console().print(Text(f"{place}: {SENT if error is None else f'not sent: {error}'}"), soft_wrap=True)
    raise typer.Exit(0 if all(error is None for _, error in results) else 1)


def _names(settings: Settings, wanted: str | None) -> list[str]:
    channels = list(settings.alerts.channels)
    if not channels:
        fail(NO_CHANNELS)
    if wanted is not None and wanted not in channels:
        fail(f"there is no channel {wanted}; there are: {', '.join(channels)}")
    return channels if wanted is None else [wanted]


async def _send_all(settings: Settings, names: list[str]) -> list[tuple[str, SendError | None]]:
    """All at once; each result with the place of its address in the settings."""
    places: dict[str, tuple[str, Channel]] = {}
    for name in names:
        ways = channels_for(settings.alerts.channels[name], time.time)
        places |= {f"{name}[{place}]" if len(ways) > 1 else name: (name, way) for place, way in enumerate(ways)}
    errors = await asyncio.gather(*(_send(settings, name, way) for name, way in places.values()))
    return list(zip(places, errors, strict=True))


async def _send(settings: Settings, name: str, way: Channel) -> SendError | None:
    letter = trial_letter(name, str(uuid.uuid4()), settings.language, time.time())
    try:
        await way.send(letter)
    except SendError as error:
        return error
    return None
