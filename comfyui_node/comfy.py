"""All that this package takes from ComfyUI and from Inspire-Pack, guarded: releases differ (docs/node.md lists it).

Every function here returns something harmless where ComfyUI has changed, and raises nothing.
"""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from server import PromptServer  # ComfyUI's server.py; without it there is nothing to tell

T = TypeVar("T")
GRAPH = 2
"""An item of ComfyUI's queue is (number, prompt_id, graph, extra_data, outputs, …)."""
Graph = Mapping[str, Any]
log = logging.getLogger("comfywarm")


def _guarded(read: Callable[[], T], otherwise: T) -> T:
    """What `read` gives; `otherwise` where this release of ComfyUI is different, or another thread got in between."""
    try:
        return read()
    except Exception:  # code of others, which may change in any way
        return otherwise


def send(kind: str, data: Mapping[str, Any]) -> None:
    """One frame to every /ws client. PromptServer.send_sync hands it to the server's loop from any thread."""
    _guarded(lambda: PromptServer.instance.send_sync(kind, dict(data)), None)


@functools.lru_cache(maxsize=1)
def _inspire_module(_module_count: int) -> Any:
    """Inspire-Pack's module of its cache, whatever its folder is called; None where it is not installed.

    Looked for again only when modules have come or gone: there are thousands, and the watcher asks often.
    """
    modules = list(sys.modules.items())
    return next((module for name, module in modules if name.endswith("inspire.backend_support")), None)


def inspire_keys() -> list[str] | None:
    """The text keys in Inspire-Pack's cache; None for this moment, while another thread is changing it.

    A cache of a form that is not known counts as empty, and the log says so once.
    """
    try:
        module = _inspire_module(len(sys.modules))
        return [] if module is None else _text_keys(module.cache)
    except RuntimeError:  # "changed size during iteration"
        return None
    except Exception as error:  # code of others, which may change in any way
        _complain(f"comfywarm cannot read this Inspire-Pack's cache: {error!r}")
        return []


def _text_keys(cache: Any) -> list[str]:
    """Inspire-Pack's TaggedCache has one mapping for each tag, and cannot be iterated over itself.

    Its items() would do, but each look would count as a use of every entry, and so change what it evicts first.
    """
    tagged = getattr(cache, "_data", None)
    parts = [cache] if tagged is None else list(tagged.values())
    return [key for part in parts for key in list(part) if isinstance(key, str)]


@functools.lru_cache(maxsize=8)
def _complain(text: str) -> None:
    """Each text once."""
    log.warning(text)


def loaded_models() -> list[Any]:
    """comfy.model_management's list of what it has loaded."""
    management = sys.modules.get("comfy.model_management")
    return _guarded(lambda: list(management.current_loaded_models), [])  # type: ignore[union-attr]


def loaded_bytes() -> dict[int, int]:
    """Each loaded model by its identity → its bytes where it computes. An entry may be replaced over one model."""
    pairs = (_guarded(functools.partial(_identity_and_bytes, entry), None) for entry in loaded_models())
    return dict(pair for pair in pairs if pair)


def _identity_and_bytes(entry: Any) -> tuple[int, int] | None:
    patcher = entry.model
    return None if patcher is None else (id(patcher.model), int(entry.model_loaded_memory()))


def describe_model(entry: Any) -> tuple[str, int, int]:
    """(name, bytes in VRAM, bytes in RAM) of an entry of `loaded_models`; zeros where a release does not tell."""
    name = _guarded(lambda: type(entry.model.model).__name__, "model")
    loaded = _guarded(lambda: int(entry.model_loaded_memory()), 0)
    rest = _guarded(lambda: int(entry.model_offloaded_memory()), 0)
    on_processor = _guarded(lambda: entry.device.type == "cpu", False)
    return (name, 0, loaded + rest) if on_processor else (name, loaded, rest)


def graphs_in_queue() -> list[Graph]:
    """The graphs that run and wait."""
    items: list[Any] = _guarded(_items, [])
    graphs = (item[GRAPH] for item in items if isinstance(item, (tuple, list)) and len(item) > GRAPH)
    return [graph for graph in graphs if isinstance(graph, Mapping)]


def _items() -> list[Any]:
    """Newer releases have a reading without a deep copy of every graph."""
    queue = PromptServer.instance.prompt_queue
    read = getattr(queue, "get_current_queue_volatile", None) or queue.get_current_queue
    running, pending = read()
    return [*running, *pending]
