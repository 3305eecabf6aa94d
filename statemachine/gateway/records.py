"""What the gateway knows of one prompt, and the files that a prompt has written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from statemachine.comfyui.records import GATEWAY_MARKER
from statemachine.gateway.json_text import dumps

MAX_KEPT = 16 * 1024
"""Bytes of a prompt's outputs, and of the frame of its end, that are kept."""
FILE_TYPES = frozenset({"input", "output", "temp"})


class Stage(StrEnum):
    """How far a prompt is."""

    POSTING = "posting"  # committed; the server may have it
    ACCEPTED = "accepted"
    ENDED = "ended"


class File(NamedTuple):
    """A file on a server, as /view names it."""

    filename: str
    subfolder: str
    type: str


@dataclass(slots=True, eq=False)
class PromptRecord:
    """One prompt. `client` is the name of its client's token, `client_id` the id of its /ws connection.

    `node` is the id and the class of one of its nodes, which an error names. `number` is its place in the server's
    queue. `error` is why it was lost.
    """

    prompt_id: str
    client: str
    client_id: str | None
    server: str
    digest: str
    at: float
    node: tuple[str, str] = ("", "")
    stage: Stage = Stage.POSTING
    number: float = 0.0
    error: str = ""
    outputs: dict[str, Any] = field(default_factory=dict)
    """What its output nodes have written, by node, as the server sent it."""
    end: list[Any] = field(default_factory=list)
    """Kind and data of the frame of its end, none before."""
    is_deleted: bool = False
    in_flight: bool = False
    """Its POST has been sent and not been answered."""
    alive_at: float | None = None
    """When the server was last known to have it, on the monotonic clock of this process."""
    absent_since: float | None = None
    looks: int = 0
    """Complete looks that did not find it, in a row."""
    credentials: Mapping[str, str] = field(default_factory=dict)
    """What its client has sent for ComfyUI's API nodes. It is kept in no file."""
    is_moving: bool = False
    """It was taken back from a server, and no other has it yet."""
    refused_by: set[str] = field(default_factory=set)
    """Servers that have refused it while it was moved."""
    sent: set[str] = field(default_factory=set)
    """The kinds of terminal frames, and the nodes of `executed` frames, that its client was sent."""

    def keep_output(self, node: str, output: Any) -> None:
        """Keep what a node has written, unless it is too large."""
        if isinstance(output, dict) and len(dumps({**self.outputs, node: output})) <= MAX_KEPT:
            self.outputs[node] = output

    def keep_end(self, kind: str, data: Mapping[str, Any]) -> None:
        """Keep the frame of the end; of one that is too large only its kind."""
        is_large = len(dumps(data)) > MAX_KEPT
        self.end = [kind, {"prompt_id": self.prompt_id} if is_large else dict(data)]

    def has_written(self, file: File) -> bool:
        """Return whether the file is among the kept outputs."""
        return file in files_in(self.outputs)

    @property
    def is_adopted(self) -> bool:
        """Whether another gateway posted it, which receives its frames."""
        return not self.digest

    @property
    def marker(self) -> dict[str, Any]:
        """The marker in its extra_data."""
        return {"prompt": self.prompt_id, "client": self.client, "client_id": self.client_id}


def marker_in(extra_data: object) -> Mapping[str, Any]:
    """Return the gateway's marker in a prompt's extra_data, empty without one."""
    found = extra_data.get(GATEWAY_MARKER) if isinstance(extra_data, dict) else None
    return found if isinstance(found, dict) else {}


def tagged(value: Any, prompt_id: str) -> Any:
    """Return outputs of a prompt with its id before the subfolder of each file, which /view then finds by it."""
    if isinstance(value, list):
        return [tagged(one, prompt_id) for one in value]
    if not isinstance(value, dict):
        return value
    changed = {key: tagged(one, prompt_id) for key, one in value.items()}
    if (file := _file(value)) is not None:
        changed["subfolder"] = f"{prompt_id}/{file.subfolder}" if file.subfolder else prompt_id
    return changed


def files_in(value: Any) -> Iterator[File]:
    """Yield the files that a prompt's outputs name."""
    if isinstance(value, dict) and (file := _file(value)) is not None:
        yield file
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from files_in(one)


def split_tag(subfolder: str) -> tuple[str, str]:
    """Return the prompt_id before a subfolder, and the rest."""
    prompt_id, _, rest = subfolder.partition("/")
    return prompt_id, rest


def _file(value: Mapping[str, Any]) -> File | None:
    name, kind, subfolder = value.get("filename"), value.get("type"), value.get("subfolder", "")
    if isinstance(name, str) and isinstance(subfolder, str) and isinstance(kind, str) and kind in FILE_TYPES:
        return File(name, subfolder, kind)
    return None
