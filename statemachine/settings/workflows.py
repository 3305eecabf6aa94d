"""The entries of `workflows`: a name, or an object with a name and the level at which its models are wanted."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from statemachine.core.levels import LEVELS, Level
from statemachine.core.messages import message
from statemachine.settings.problems import NotAllowedError
from statemachine.settings.values import Section, WorkflowName, check_distinct

MAX_WORKFLOWS = 100


class WorkflowEntry(Section):
    """One workflow that warms a server."""

    name: WorkflowName
    """The file's name without `.json`."""
    warm: Literal["key", "ram", "vram"] = "key"
    """Where the models of its keys are wanted: key (anywhere, while the key is cached), ram or vram. Levels above key
    need comfywarm's companion node."""

    @property
    def level(self) -> Level:
        """The level that is wanted."""
        return LEVELS[self.warm]


def _entry_of(value: object) -> object:
    """Return the entry's data; a plain string is an entry with only a name."""
    if not isinstance(value, str | dict | WorkflowEntry):
        raise NotAllowedError(message("settings.workflow"))
    return {"name": value} if isinstance(value, str) else value


def _check_names(entries: tuple[WorkflowEntry, ...]) -> tuple[WorkflowEntry, ...]:
    check_distinct(tuple(entry.name for entry in entries))
    return entries


NameOrEntry = Annotated[WorkflowEntry, BeforeValidator(_entry_of, json_schema_input_type=str | WorkflowEntry)]
Workflows = Annotated[
    tuple[NameOrEntry, ...],
    Field(max_length=MAX_WORKFLOWS, json_schema_extra={"minItems": 1}),
    AfterValidator(_check_names),
]
