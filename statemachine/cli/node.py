"""`node install`: put the companion node into a ComfyUI folder."""

import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from statemachine.cli.context import console, fail, language_of
from statemachine.cli.help import LocalizedCommand, LocalizedGroup
from statemachine.comfyui.bundled import COMPANION_NODE
from statemachine.core.messages import Message, message, without_error_number
from statemachine.i18n.render import MessageError, render

FOLDER = "comfywarm"
CUSTOM_NODES = "custom_nodes"
IGNORED_SUFFIX = ".disabled"
"""ComfyUI does not load folders of custom_nodes whose names end so (nodes.py, init_external_custom_nodes)."""
MARKER = "origin.py"
"""A file of every release of the node, by which an earlier copy is known as ours."""

node = typer.Typer(cls=LocalizedGroup, no_args_is_help=True)


@node.command("install", cls=LocalizedCommand)
def install(context: typer.Context, folder: Annotated[Path, typer.Argument(metavar="DIR")]) -> None:
    """Copy the companion node into the ComfyUI folder DIR, or renew the copy there."""
    language = language_of(context)
    try:
        target = install_node(folder)
    except MessageError as error:
        fail(error.message, language)
    except OSError as error:
        fail(message("cli.cannot_write", path=str(folder), error=without_error_number(str(error))), language)
    console().print(Text(render(message("cli.node_installed", path=str(target)), language)), soft_wrap=True)


def install_node(folder: Path, source: Path = COMPANION_NODE) -> Path:
    """Copy the node and return its folder. Raises MessageError, or OSError."""
    target = _custom_nodes(folder) / FOLDER
    if problem := _obstacle(target):
        raise MessageError(problem)
    fresh, old = (target.with_name(f"{FOLDER}-{name}{IGNORED_SUFFIX}") for name in ("new", "old"))
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.copytree(source, fresh, ignore=shutil.ignore_patterns("__pycache__"))
    _keep_workflows(target, fresh)
    if target.exists():
        target.rename(old)
    fresh.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    return target


def _custom_nodes(folder: Path) -> Path:
    """Return the folder of custom nodes; DIR may be itself, or the folder of ComfyUI."""
    for one in (folder / CUSTOM_NODES, folder):
        if one.name == CUSTOM_NODES and one.is_dir():
            return one
    raise MessageError(message("cli.not_comfyui_folder", path=str(folder)))


def _obstacle(target: Path) -> Message | None:
    """Return why the folder must not be replaced."""
    if target.is_symlink():
        return message("cli.node_is_link", path=str(target), source=str(target.readlink()))
    if target.exists() and not (target / MARKER).is_file():
        return message("cli.node_not_ours", path=str(target))
    return None


def _keep_workflows(target: Path, fresh: Path) -> None:
    """Keep the operator's workflow files, which the node reads in its folder by default."""
    if (target / "workflows").is_dir():
        shutil.copytree(target / "workflows", fresh / "workflows", dirs_exist_ok=True)
