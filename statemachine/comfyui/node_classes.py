"""Which node classes a server has or replaces, by its own answers, and which were not understood.

Before it validates a prompt, a server replaces a class that it does not have, if it has the new one (GET
/node_replacements, ComfyUI 0.14 and later, app/node_replace_manager.py).
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from statemachine.comfyui.bounds import SMALL
from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.errors import AbsentError, AccessDeniedError, ComfyError, NotAnsweringError
from statemachine.comfyui.object_info import is_described
from statemachine.comfyui.server_json import json_text
from statemachine.comfyui.system import release_of
from statemachine.core.messages import Message, message

T = TypeVar("T")

COMBO_VALIDATED_SINCE = (0, 8)
"""Version of ComfyUI. Earlier ones accept any value for a choice in the form `["COMBO", …]` (execution.py)."""

MAX_SIZE = 8 * 2**20
"""Characters of the descriptions of all classes of a workflow. The largest ones list some thousand LoRAs many times."""

NOTHING_KNOWN: Mapping[str, Any] = {}
"""The description of a class whose answer was not understood. The class counts as present."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """The class that takes the place of another one, and the entries that say which inputs it receives."""

    new_class: str
    input_mapping: Sequence[object]

    def applied_to(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """Return the node as the server validates it."""
        return {**node, "class_type": self.new_class, "inputs": dict(self._inputs(node["inputs"]))}

    def _inputs(self, old: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        for entry in self.input_mapping:
            match entry:
                case {"new_id": str() as name, "set_value": value}:
                    yield name, value
                case {"new_id": str() as name, "old_id": str() as old_name} if old_name in old:
                    yield name, old[old_name]


def parse_replacements(answer: Mapping[str, Any]) -> dict[str, Replacement]:
    """Return the replacement of each class. The server uses the first one of a list. Skips what is not understood."""
    found = {}
    for old_class, entries in answer.items():
        match entries:
            case [{"new_node_id": str() as new_class, **rest}, *_]:
                mapping = rest.get("input_mapping")
                found[old_class] = Replacement(new_class, mapping if isinstance(mapping, list) else ())
    return found


def replaced(
    graph: Mapping[str, Any], replacements: Mapping[str, Replacement], classes: Collection[str]
) -> Mapping[str, Any]:
    """Return the graph as a server with these classes validates it."""
    return {node_id: _replaced_node(node, replacements, classes) for node_id, node in graph.items()}


def _replaced_node(
    node: Mapping[str, Any], replacements: Mapping[str, Replacement], classes: Collection[str]
) -> Mapping[str, Any]:
    replacement = replacements.get(node["class_type"])
    if replacement is None or node["class_type"] in classes or replacement.new_class not in classes:
        return node
    return replacement.applied_to(node)


@dataclass(frozen=True, slots=True)
class Unexamined:
    """A node class of which the server's answer was not understood."""

    class_type: str
    cause: Message

    @property
    def message(self) -> Message:
        """Which class could not be examined, and why."""
        return message("class_unexamined", name=self.class_type, cause=self.cause)


class NodeClasses:
    """The node classes of one server, as it reports them."""

    def __init__(self, client: ComfyClient) -> None:
        self._client = client
        self.known: dict[str, Mapping[str, Any]] = {}
        self._size = 0
        self.unexamined: list[Unexamined] = []

    async def ask_about(self, classes: Sequence[str]) -> None:
        """Ask for the description of each class."""
        for name in classes:
            try:
                description = await self._client.object_info(name)
            except (NotAnsweringError, AccessDeniedError):
                raise
            except ComfyError as error:
                self._cannot_examine(name, error.message)
            else:
                self._note(name, description)

    async def replacements_of(self, classes: Sequence[str]) -> Mapping[str, Replacement]:
        """Return the replacements of those classes that the server does not have, and ask for the new classes."""
        absent = [name for name in classes if name not in self.known]
        if not absent:
            return {}
        try:
            offered = parse_replacements(await self._client.node_replacements())
        except NotAnsweringError:
            raise
        except AbsentError:
            return {}
        except ComfyError as error:
            for name in absent:
                self._cannot_examine(name, error.message)
            return {}
        used = {name: offered[name] for name in absent if name in offered}
        await self.ask_about([one.new_class for one in used.values() if one.new_class not in self.known])
        return used

    async def validates_combos(self) -> bool:
        """Return whether the server's version validates choices in the form `["COMBO", …]`; assume it if unknown."""
        try:
            version = await self._client.version()
        except NotAnsweringError:
            raise
        except ComfyError:
            return True
        release = release_of(version)
        return release is None or release >= COMBO_VALIDATED_SINCE

    async def examine(self, compare: Callable[[], T]) -> T:
        """Return the result of a comparison with what is known, in a thread if that is much."""
        return compare() if self._size <= SMALL else await asyncio.to_thread(compare)

    def _note(self, name: str, description: Mapping[str, Any] | None) -> None:
        if description is None:
            return
        if not is_described(description):
            self._cannot_examine(name, message("class_not_described"))
            return
        size = _size_of(description)
        if self._size + size > MAX_SIZE:
            self._cannot_examine(name, message("classes_too_large"))
            return
        self._size += size
        self.known[name] = description

    def _cannot_examine(self, name: str, cause: Message) -> None:
        self.known[name] = NOTHING_KNOWN
        self.unexamined.append(Unexamined(name, cause))


def _size_of(description: Mapping[str, Any]) -> int:
    try:
        return len(json_text(description))
    except TypeError:  # nested too deeply
        return MAX_SIZE
