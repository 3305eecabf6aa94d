"""Reading the settings file and the workflow files into a LoadedConfig."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from statemachine.comfyui.bundled import WORKFLOWS
from statemachine.comfyui.workflow import Workflow, WorkflowError, WorkflowMissingError, find_workflow
from statemachine.fleet.diff import LoadedConfig
from statemachine.settings import ServerConfig, Settings, resolve_servers
from statemachine.settings.problems import KeyPath, dotted
from statemachine.settings.values import Section

AT_START_ONLY = ("listen", "data_dir", "language", "fast_frames", "logging", "traffic", "cluster")
"""Sections and settings that a running daemon cannot change."""

CHANGEABLE = frozenset({("listen", "public_url")})
"""Settings of these sections that it can change."""


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """Where the settings come from. `load` reads them and raises SettingsError if they are invalid."""

    path: Path
    load: Callable[[], Settings]


def load_config(settings: Settings) -> LoadedConfig:
    """Resolve the servers and read the workflow files of these settings. Blocks.

    The files that servers of a source need are among them, because such servers come later.
    """
    servers = resolve_servers(settings)
    later = [one.workflows or settings.workflows for one in settings.discovery]
    names = [*_names_of(servers), *(entry.name for entries in later for entry in entries)]
    return LoadedConfig(settings, servers, _load_files(settings, names))


async def reload_config(source: SettingsFile) -> LoadedConfig:
    """Read everything again, in a thread. Raises SettingsError."""
    return await asyncio.to_thread(lambda: load_config(source.load()))


def load_workflows(settings: Settings, servers: Sequence[ServerConfig]) -> dict[str, Workflow | WorkflowError]:
    """Read each workflow that a server names, or the bundled one; return it, or the error of its file."""
    return _load_files(settings, _names_of(servers))


def _names_of(servers: Sequence[ServerConfig]) -> Iterable[str]:
    return dict.fromkeys(name for server in servers for name in server.workflows)


def _load_files(settings: Settings, names: Iterable[str]) -> dict[str, Workflow | WorkflowError]:
    return {name: _load_workflow(settings.workflows_dir, name) for name in dict.fromkeys(names)}


def newly_broken(before: LoadedConfig, after: LoadedConfig) -> list[WorkflowError]:
    """Return the errors of workflow files that could still be used before.

    An operator's file that is gone is one, too: a running daemon does not replace it by the bundled one.
    """
    errors: list[WorkflowError] = []
    for name, one in after.workflows.items():
        known = before.workflows.get(name)
        if isinstance(one, WorkflowError) and not isinstance(known, WorkflowError):
            errors.append(one)
        elif isinstance(one, Workflow) and one.is_bundled and isinstance(known, Workflow) and not known.is_bundled:
            errors.append(WorkflowMissingError(after.settings.workflows_dir / f"{name}.json"))
    return errors


def in_effect(started: Settings, fresh: Settings) -> Settings:
    """Return the settings that a daemon started with `started` uses after it has read `fresh`."""
    kept = {key: getattr(started, key) for key in AT_START_ONLY}
    for section, key in CHANGEABLE:
        kept[section] = kept[section].model_copy(update={key: getattr(getattr(fresh, section), key)})
    return fresh.model_copy(update=kept)


def waiting_for_restart(started: Settings, fresh: Settings) -> list[str]:
    """Return the keys of changed settings that take effect at the next start."""
    used = in_effect(started, fresh)
    return [
        dotted(path)
        for section in AT_START_ONLY
        for path in _changed((section,), getattr(used, section), getattr(fresh, section))
    ]


def _changed(path: KeyPath, used: object, fresh: object) -> list[KeyPath]:
    """Return the keys of a section that differ, or the path itself if it is not a section in both settings."""
    if used == fresh:
        return []
    if not isinstance(used, Section) or not isinstance(fresh, Section):
        return [path]
    names = type(used).model_fields
    return [one for name in names for one in _changed((*path, name), getattr(used, name), getattr(fresh, name))]


def _load_workflow(folder: Path, name: str) -> Workflow | WorkflowError:
    try:
        return find_workflow(folder, name, WORKFLOWS)
    except WorkflowError as error:
        return error
