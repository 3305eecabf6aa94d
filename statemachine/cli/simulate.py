"""`simulate`: simulated ComfyUI servers for trying comfywarm without GPUs."""

import sys
from functools import partial
from typing import Annotated

import orjson
import typer

from statemachine.cli.context import fail, language_of, print_note, run_until_interrupted
from statemachine.core.messages import message, unknown
from statemachine.i18n.render import render
from statemachine.i18n.text import Language
from statemachine.simulator import PROFILES, SimFleet, SimulateOptions, dialect_of, serve_fleet

DEFAULTS = SimulateOptions()


def simulate(
    context: typer.Context,
    count: Annotated[int, typer.Option(min=1, max=1000)] = DEFAULTS.count,
    seed: int = DEFAULTS.seed,
    host: str = DEFAULTS.host,
    base_port: Annotated[int, typer.Option(min=0, max=65535)] = DEFAULTS.base_port,
    scale: Annotated[float, typer.Option(min=0.001, max=1000)] = DEFAULTS.scale,
    comfyui: Annotated[str, typer.Option(metavar="VERSION")] = DEFAULTS.comfyui,
    persona: Annotated[list[str] | None, typer.Option(metavar="NAME")] = None,
    as_settings: Annotated[bool, typer.Option("--as-settings")] = False,
) -> None:
    """Run simulated ComfyUI servers, well-behaved and misbehaving ones, until Ctrl-C."""
    language = language_of(context)
    profiles = tuple(_profile(name, language) for name in persona or DEFAULTS.profiles)
    options = SimulateOptions(count, seed, host, base_port, scale, _version(comfyui, language), profiles)
    show = _show_settings if as_settings else _show_list
    try:
        run_until_interrupted(serve_fleet(options, partial(show, language)), language)
    except OSError as error:
        fail(message("cli.cannot_listen", error=error.strerror or str(error)), language)


def _profile(name: str, language: Language) -> str:
    if name in PROFILES:
        return name
    raise typer.BadParameter(render(unknown("persona", name, PROFILES), language), param_hint="--persona")


def _version(text: str, language: Language) -> str:
    try:
        return dialect_of(text).version
    except ValueError:
        error = message("cli.unknown_comfyui", version=text, example=DEFAULTS.comfyui)
        raise typer.BadParameter(render(error, language), param_hint="--comfyui") from None


def _show_list(language: Language, fleet: SimFleet) -> None:
    for member in fleet.members:
        print(f"{member.url}  {member.server.profile.name}")
    _note_running(language, fleet)


def _show_settings(language: Language, fleet: SimFleet) -> None:
    print(orjson.dumps({"servers": fleet.urls}, option=orjson.OPT_INDENT_2).decode())
    _note_running(language, fleet)


def _note_running(language: Language, fleet: SimFleet) -> None:
    sys.stdout.flush()
    print_note(render(message("cli.simulating", count=len(fleet.members)), language))
