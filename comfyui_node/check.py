"""What GET /cache/check answers, in the mission's words or as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from . import comfy, workflows

MAX_KEYS = 200
MAX_KEY_LENGTH = 500


class BadQuestionError(ValueError):
    """The query asks for something that cannot be; the text is for people."""


@dataclass(frozen=True)
class Verdict:
    """Which of the keys asked for are there. `loading`: a prompt that would bring a missing one runs or waits."""

    present: list[str]
    missing: list[str]
    loading: bool


def asked_for(names: Sequence[str], keys: Sequence[str], *, peek: bool) -> list[str]:
    """The keys that the query and these workflows declare; those of all workflow files where it declares nothing.

    With `peek` nothing may be declared. Raises BadQuestionError, UnknownWorkflowError. Reads files.
    """
    if len(keys) > MAX_KEYS or any(not key or len(key) > MAX_KEY_LENGTH for key in keys):
        raise BadQuestionError(f"at most {MAX_KEYS} keys of 1 to {MAX_KEY_LENGTH} characters can be asked for")
    chosen = list(names) if names or keys or peek else workflows.names()
    declared = [key for name in chosen for key in workflows.keys_of(workflows.graph_of(name))]
    if not keys and not declared and not peek:
        raise BadQuestionError(f"nothing says which keys must be there: no cache node in {workflows.folder()}/*.json")
    return list(dict.fromkeys([*keys, *declared]))


def judge(wanted: Sequence[str], present: Iterable[str]) -> Verdict:
    """Compare; and look at the queue where something is missing."""
    there = set(present)
    missing = [key for key in wanted if key not in there]
    return Verdict([key for key in wanted if key in there], missing, bool(missing) and _loading(set(missing)))


def _loading(missing: set[str]) -> bool:
    return any(not missing.isdisjoint(workflows.keys_of(graph)) for graph in comfy.graphs_in_queue())


def held() -> dict[str, list[dict[str, Any]]]:
    """What ComfyUI's model management has loaded, by where it is."""
    described = [comfy.describe_model(model) for model in comfy.loaded_models()]
    return {
        "vram": [{"name": name, "bytes": loaded} for name, loaded, _ in described if loaded],
        "ram": [{"name": name, "bytes": rest} for name, _, rest in described if rest],
    }


def wants_json(accept: str) -> bool:
    """Whether the header Accept names JSON. Some clients name it always, before text/plain: they get the words."""
    return "json" in accept and "text/plain" not in accept


def in_words(verdict: Verdict, *, auto_started: bool) -> str:
    """The mission's texts, to the letter: existing programs compare them."""
    if not verdict.missing:
        return "缓存已加载。"
    keys = ",".join(verdict.missing)
    return f"未查询到缓存{keys}，已经自动在后台执行缓存模型工作流。" if auto_started else f"未查询到缓存{keys}。"
