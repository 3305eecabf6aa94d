"""The files that say what the fleet is: the settings and the workflow files, read together and anew."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from statemachine.comfyui.workflow import Workflow, WorkflowError, load_workflow
from statemachine.settings import ServerConfig, Settings, resolve_servers


def load_workflows(settings: Settings, servers: Sequence[ServerConfig]) -> dict[str, Workflow | WorkflowError]:
    """Every workflow that one of the servers names: the workflow, or what is wrong with its file."""
    names = dict.fromkeys(name for server in servers for name in server.workflows)
    return {name: _load(settings.workflows_dir / f"{name}.json") for name in names}


def _load(path: Path) -> Workflow | WorkflowError:
    try:
        return load_workflow(path)
    except WorkflowError as error:
        return error


AT_START_ONLY = ("listen", "data_dir", "language", "logging", "traffic", "cluster")
"""Settings that a running daemon cannot change."""


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """Where the settings come from. `load` reads them; it raises SettingsError for what is wrong with them."""

    path: Path
    load: Callable[[], Settings]


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """Settings with all that follows from them."""

    settings: Settings
    servers: Sequence[ServerConfig]
    workflows: Mapping[str, Workflow | WorkflowError]

    @property
    def broken(self) -> list[WorkflowError]:
        """The workflow files that cannot be used."""
        return [one for one in self.workflows.values() if isinstance(one, WorkflowError)]


def read_around(settings: Settings) -> LoadedConfig:
    """The servers and the workflow files of these settings. Blocks."""
    servers = resolve_servers(settings)
    return LoadedConfig(settings, servers, load_workflows(settings, servers))


async def read_again(source: SettingsFile) -> LoadedConfig:
    """Everything as it stands now; SettingsError where it is wrong. Files are read in a thread."""
    return await asyncio.to_thread(lambda: read_around(source.load()))


def newly_broken(before: LoadedConfig, after: LoadedConfig) -> list[WorkflowError]:
    """The workflow files that cannot be used, and of which no broken predecessor is in force."""
    return [
        one
        for name, one in after.workflows.items()
        if isinstance(one, WorkflowError) and not isinstance(before.workflows.get(name), WorkflowError)
    ]


def waiting_for_restart(before: Settings, after: Settings) -> list[str]:
    """The changed settings that come into force only with the next start."""
    return [key for key in AT_START_ONLY if getattr(before, key, None) != getattr(after, key, None)]
