"""The loaded configuration of a fleet, and what differs between two of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import SecretStr

from statemachine.comfyui.workflow import Workflow, WorkflowError
from statemachine.core.levels import Level
from statemachine.settings.masking import secrets_in
from statemachine.settings.model import Settings
from statemachine.settings.servers import ServerConfig


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """Settings, the servers that they resolve to, and each workflow that a server names (or its error)."""

    settings: Settings
    servers: Sequence[ServerConfig]
    workflows: Mapping[str, Workflow | WorkflowError]

    @property
    def broken(self) -> list[WorkflowError]:
        """The errors of workflow files that cannot be used."""
        return [one for one in self.workflows.values() if isinstance(one, WorkflowError)]

    @property
    def bundled(self) -> list[str]:
        """The names of workflows that are not in the operator's folder."""
        return [name for name, one in self.workflows.items() if isinstance(one, Workflow) and one.is_bundled]

    def secrets(self, config: ServerConfig) -> list[SecretStr]:
        """Return the credentials in the workflow files of a server."""
        named = (self.workflows[name] for name in config.workflows)
        return [secret for one in named if isinstance(one, Workflow) for secret in one.secrets()]

    @property
    def all_secrets(self) -> list[SecretStr]:
        """Every secret in the settings and in the workflow files."""
        workflows = (one for one in self.workflows.values() if isinstance(one, Workflow))
        return [*secrets_in(self.settings), *(secret for one in workflows for secret in one.secrets())]


def wanted_workflows(config: ServerConfig, files: Iterable[Workflow | WorkflowError]) -> dict[str, Workflow]:
    """Return the usable ones of a server's workflows by name, each with the level that the settings want for it."""
    usable = (one for one in files if isinstance(one, Workflow))
    return {one.name: one.wanted_at(config.warm.get(one.name, Level.KEY)) for one in usable}


@dataclass(frozen=True, slots=True)
class Changes:
    """Names of servers, in the order of the settings."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def compare(old: LoadedConfig, new: LoadedConfig) -> Changes:
    """Return which servers must be added, removed or restarted to get from `old` to `new`.

    A server whose configuration is the same object is compared at once, because servers come and go often.
    """
    before, after = ({one.name: one for one in config.servers} for config in (old, new))
    known = old.workflows.keys() & new.workflows.keys()
    edited = {name for name in known if _content(old.workflows[name]) != _content(new.workflows[name])}
    return Changes(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=tuple(
            name
            for name, config in after.items()
            if (was := before.get(name)) is not None
            and ((was is not config and was != config) or not edited.isdisjoint(config.workflows))
        ),
    )


def _content(workflow: Workflow | WorkflowError) -> object:
    if isinstance(workflow, Workflow):
        return workflow.digest, workflow.extra_data
    return f"cannot be used: {workflow}"
