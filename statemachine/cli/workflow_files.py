"""The workflow files of a fleet, each loaded once."""

from collections.abc import Sequence
from pathlib import Path

from statemachine.comfyui.workflow import Workflow, WorkflowError, load_workflow
from statemachine.settings import ServerConfig, Settings


def load_workflows(settings: Settings, servers: Sequence[ServerConfig]) -> dict[str, Workflow | WorkflowError]:
    """Every workflow that one of the servers names: the workflow, or what is wrong with its file."""
    names = dict.fromkeys(name for server in servers for name in server.workflows)
    return {name: _load(settings.workflows_dir / f"{name}.json") for name in names}


def _load(path: Path) -> Workflow | WorkflowError:
    try:
        return load_workflow(path)
    except WorkflowError as error:
        return error
