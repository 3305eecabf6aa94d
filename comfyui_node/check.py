"""The answer to GET /cache/check, as text or as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from . import comfy, workflows

RELEASE = "0.1.0"
"""The release of this package, which the daemon compares with its own."""

MAX_KEYS = 200
MAX_KEY_LENGTH = 500


class BadQueryError(ValueError):
    """The query is invalid. The message is shown to the client."""


@dataclass(frozen=True)
class Verdict:
    """Which requested keys are cached. `loading`: a queued or running prompt would load a missing one."""

    present: list[str]
    missing: list[str]
    loading: bool


def requested_keys(names: Sequence[str], keys: Sequence[str], *, peek: bool) -> list[str]:
    """Return the keys to check: those in the query and those of the named workflows.

    A query that names neither means all workflow files, unless `peek` is set. Reads files.
    Raises BadQueryError and UnknownWorkflowError.
    """
    if len(keys) > MAX_KEYS or any(not key or len(key) > MAX_KEY_LENGTH for key in keys):
        raise BadQueryError(f"at most {MAX_KEYS} keys of 1 to {MAX_KEY_LENGTH} characters can be asked for")
    chosen = list(names) if names or keys or peek else workflows.names()
    declared = [key for name in chosen for key in workflows.keys_of(workflows.graph_of(name))]
    if not keys and not declared and not peek:
        raise BadQueryError(f"no keys to check: no cache node in {workflows.folder()}/*.json")
    return list(dict.fromkeys([*keys, *declared]))


def judge(wanted: Sequence[str], present: Iterable[str]) -> Verdict:
    """Compare the requested keys with the cached ones. Read ComfyUI's queue if any is missing."""
    cached = set(present)
    missing = [key for key in wanted if key not in cached]
    return Verdict([key for key in wanted if key in cached], missing, bool(missing) and _loading(set(missing)))


def _loading(missing: set[str]) -> bool:
    return any(not missing.isdisjoint(workflows.keys_of(graph)) for graph in comfy.graphs_in_queue())


def models_in_memory() -> dict[str, list[dict[str, Any]]]:
    """Return the models that ComfyUI has loaded, with their sizes, in VRAM and in RAM."""
    models = [comfy.describe_model(model) for model in comfy.loaded_models()]
    return {
        "vram": [{"name": name, "bytes": vram} for name, vram, _ in models if vram],
        "ram": [{"name": name, "bytes": ram} for name, _, ram in models if ram],
    }


def wants_json(accept: str) -> bool:
    """Return whether the Accept header asks for JSON. Clients that also accept text/plain get text."""
    return "json" in accept and "text/plain" not in accept


def as_text(verdict: Verdict, *, auto_started: bool) -> str:
    """Render the verdict as text. Existing programs compare these sentences literally."""
    if not verdict.missing:
        return "缓存已加载。"
    keys = ",".join(verdict.missing)
    return f"未查询到缓存{keys}，已经自动在后台执行缓存模型工作流。" if auto_started else f"未查询到缓存{keys}。"
