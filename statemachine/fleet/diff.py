"""What the settings and the workflow files ask for, and what a reload changes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from statemachine.comfyui.workflow import Workflow, WorkflowError
from statemachine.settings.servers import ServerConfig


@dataclass(frozen=True, slots=True)
class Changes:
    """Names of servers, in the order of the settings."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True, slots=True)
class Plan:
    """Every server, and every workflow that one of them names: the workflow, or why its file cannot be used."""

    servers: Sequence[ServerConfig]
    workflows: Mapping[str, Workflow | WorkflowError]

    def identities(self) -> dict[str, object]:
        """For each server what must stay the same for it to be left in peace."""
        digests = {name: _digest(workflow) for name, workflow in self.workflows.items()}
        return {config.name: (config, [digests[name] for name in config.workflows]) for config in self.servers}


def compare(old: Plan, new: Plan) -> Changes:
    """What must be done to get from `old` to `new`."""
    before, after = old.identities(), new.identities()
    return Changes(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=tuple(name for name in after if name in before and before[name] != after[name]),
    )


def _digest(workflow: Workflow | WorkflowError) -> str:
    return workflow.digest if isinstance(workflow, Workflow) else f"cannot be used: {workflow}"
