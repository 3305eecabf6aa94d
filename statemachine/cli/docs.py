"""`schema` and `diagram`: what is generated from the code."""

from typing import Annotated

import orjson
import typer

from statemachine.core import diagram as states
from statemachine.settings import json_schema


def schema() -> None:
    """Print the JSON Schema of settings.json, with which editors complete and check it."""
    typer.echo(orjson.dumps(json_schema(), option=orjson.OPT_INDENT_2).decode())


def diagram(
    markdown: Annotated[bool, typer.Option("--markdown", help="The whole page docs/states.md.")] = False,
) -> None:
    """Print the state machine as a Mermaid diagram, drawn from the table that it runs on."""
    typer.echo(states.markdown() if markdown else states.mermaid())
