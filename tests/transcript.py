"""Transcripts of conversations with ComfyUI servers, and the comparison of two of them.

`python -m tests.comfyui.record` recorded `tests/transcripts/VERSION/NAME.jsonl` from a real ComfyUI of that version,
one scenario in each file, one JSON object in each line. An object has `t` (seconds), `conn` (the connection) and a /ws
`frame`, an `event`, a note's `text`, or an HTTP `request` with its answer. `tests/scenarios.py` plays the same
scenarios against any server. Compare with:

    name = "05_interrupted"
    differences(name, await play(name, "http://127.0.0.1:8188"), "0.3.75")  # [] if they agree

Normalisation removes only what differs between two runs of one server: ids, clocks, durations, the start of the
`number` counter, the text of tracebacks, the interleaving of connections, and the order of output ids, which ComfyUI
keeps in a set of strings, and with it the order of branches.
"""

import difflib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Line = dict[str, Any]

REFERENCE = "0.3.75"
"""The version of the recordings that tests read if they name none."""
FOLDER = Path(__file__).parent / "transcripts"


def numbers(version: str) -> tuple[int, ...]:
    """Return the parts of a version as numbers."""
    return tuple(int(part) for part in version.split("."))


VERSIONS = sorted((path.name for path in FOLDER.iterdir()), key=numbers)
RECORDINGS = [(version, path.stem) for version in VERSIONS for path in sorted((FOLDER / version).glob("*.jsonl"))]
NAMES = [name for version, name in RECORDINGS if version == REFERENCE]
INTERRUPTED = {
    "05_interrupted",
    "11_jobs_in_every_state",
    "14_order_of_the_queue",
    "21_a_socket_that_joins_late",
}
"""An interrupt races with the progress of its node, so the number of steps is not compared."""

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}")
"""Ids of prompts, and without hyphens the instance that comfywarm's node reports."""
CLOCKS = {"timestamp", "create_time", "execution_start_time", "execution_end_time", "seconds", "traceback"}
NUMBERS = {"number", "priority"}
"""Numbers of prompts in the queue, the second in /api/jobs."""
NOT_RECORDED = {"release", "worker_alive", "activity"}
"""Members that the companion node's answer has only since these recordings."""
UNORDERED = {"nodes", "executed", "current_outputs"}
THROTTLED_SINCE = (0, 9, 2)
"""The first version that sends not every step of a node, so that the number of steps is not compared."""
QUEUE_ITEM_LENGTH = 5
HTTP_OK = 200


def file_of(version: str, name: str) -> Path:
    return FOLDER / version / f"{name}.jsonl"


def recorded(name: str, version: str = REFERENCE) -> list[Line]:
    """Return the recorded lines of the scenario `name`."""
    lines = file_of(version, name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line]


def write(version: str, name: str, lines: Iterable[Line]) -> None:
    """Write a recording, without tracebacks, which have the server's paths and code."""
    file = file_of(version, name)
    file.parent.mkdir(exist_ok=True)
    texts = [json.dumps(without_tracebacks(line), ensure_ascii=False) for line in lines]
    file.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")


def without_tracebacks(value: Any) -> Any:
    """Return the value with every traceback empty."""
    if isinstance(value, dict):
        return {key: [] if key == "traceback" else without_tracebacks(item) for key, item in value.items()}
    return [without_tracebacks(item) for item in value] if isinstance(value, list) else value


def differences(name: str, played: Iterable[Line], version: str = REFERENCE) -> list[str]:
    """Return a unified diff of the recorded scenario and a played one; [] if they agree."""
    steps = name not in INTERRUPTED and numbers(version) < THROTTLED_SINCE
    texts = [
        [json.dumps(line, sort_keys=True, ensure_ascii=False) for line in normalise(lines, progress_steps=steps)]
        for lines in (recorded(name, version), list(played))
    ]
    return list(difflib.unified_diff(texts[0], texts[1], "recorded", "played", lineterm="", n=1))


def normalise(lines: Iterable[Line], *, progress_steps: bool = True) -> list[Line]:
    """Return lines in a form in which two runs are equal, grouped by connection.

    `progress_steps=False` also drops the frames that only report the progress of a running node.
    """
    kept = [line for line in lines if progress_steps or not _is_progress_step(line)]
    # HTTP first: its exchanges are sequential, so ids are named in the same order in every run.
    # The frames of comfywarm's node last: they may arrive at any time between ComfyUI's.
    kept.sort(key=lambda line: (line["conn"] != "http", line["conn"], _is_companions(line)))
    names = _Names(kept)
    return [names.line(line) for line in kept]


def _is_progress_step(line: Line) -> bool:
    frame = line.get("frame", {})
    if frame.get("type") == "progress_state":
        return any(0 < node["value"] < node["max"] for node in frame["data"]["nodes"].values())
    return bool(frame.get("type") == "progress")


def _is_companions(line: Line) -> bool:
    return bool(line.get("frame", {}).get("type") == "comfywarm.cache")


class _Names:
    """The ids, numbers and branches of one transcript, and their normalised names."""

    def __init__(self, lines: list[Line]) -> None:
        self.ids: dict[str, str] = {}
        self.first_number = next((line["json"]["number"] for line in lines if "number" in (line.get("json") or {})), 0)
        self.branches: dict[str, list[str]] = {}
        for line in lines:
            self._collect_branches(line.get("frame", {}).get("data", {}))

    def line(self, line: Line) -> Line:
        """Return the line without its clock, and without the length of an answer with ids, clocks or a traceback."""
        varies = line.get("length") and (line["status"] == HTTP_OK or '"traceback"' in json.dumps(line.get("json")))
        dropped = {"t", "length"} if varies else {"t"}
        kept = {key: value for key, value in line.items() if key not in dropped}
        return {key: self._value(value) for key, value in self._with_branches(kept).items()}

    def _collect_branches(self, data: dict[str, Any]) -> None:
        """Collect branches in the order in which they run: node "1B" feeds node "2B", where B is the branch."""
        if "prompt_id" not in data:
            return
        nodes = data["nodes"] if isinstance(data.get("nodes"), dict) else [data.get("node")]
        for node in filter(None, nodes):
            seen = self.branches.setdefault(data["prompt_id"], [])
            if node[-1] not in seen:
                seen.append(node[-1])

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return UUID.sub(self._id, value)
        if isinstance(value, list):
            return self._list(value)
        if isinstance(value, dict):
            return self._dict(value)
        return value

    def _id(self, match: re.Match[str]) -> str:
        return self.ids.setdefault(match[0], f"<id {len(self.ids) + 1}>")

    def _list(self, value: list[Any]) -> list[Any]:
        if len(value) == QUEUE_ITEM_LENGTH and isinstance(value[2], dict) and isinstance(value[4], list):
            number, prompt_id, graph, extra, outputs = value
            value = [number - self.first_number, prompt_id, graph, extra, sorted(outputs)]
        return [self._value(item) for item in value]

    def _dict(self, value: dict[str, Any]) -> dict[str, Any]:
        known = {key: item for key, item in value.items() if key not in NOT_RECORDED}
        return {self._value(key): self._field(key, item) for key, item in known.items()}

    def _with_branches(self, value: Any) -> Any:
        """Return the value with branches renamed, except in the graph of a request."""
        if isinstance(value, list):
            return [self._with_branches(item) for item in value]
        if not isinstance(value, dict):
            return value
        branches = self.branches.get(str(value.get("prompt_id", "")), [])
        if branches and "prompt" not in value:
            return _rename_branches(value, branches)
        return {key: self._with_branches(item) for key, item in value.items()}

    def _field(self, key: str, value: Any) -> Any:
        if key in CLOCKS:
            return f"<{key}>"
        if key in NUMBERS and isinstance(value, int):
            return value - self.first_number
        if key in UNORDERED and isinstance(value, list):
            return sorted(self._value(value))
        if key == "errors":
            return sorted(self._value(value), key=lambda error: str(error["details"]))
        if key == "details":
            return "\n".join(sorted(value.splitlines()))
        return self._value(value)


def _rename_branches(value: Any, branches: list[str]) -> Any:
    """Return the value with B replaced by its index in `branches` in every node id "NB"."""
    if isinstance(value, dict):
        return {_rename_branches(key, branches): _rename_branches(item, branches) for key, item in value.items()}
    if isinstance(value, list):
        return [_rename_branches(item, branches) for item in value]
    if isinstance(value, str) and re.fullmatch(r"\d\d", value) and value[-1] in branches:
        return f"{value[0]}{branches.index(value[-1])}"
    return value
