"""Guarded access to ComfyUI and Inspire-Pack, whose releases differ. docs/node.md lists every name used.

If a release differs, these functions return an empty value instead of raising.
"""

from __future__ import annotations

import functools
import ipaddress
import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from server import PromptServer  # ComfyUI's server.py; the package does not start without it

T = TypeVar("T")
GRAPH = 2
"""Position of the graph in a queue item: (number, prompt_id, graph, extra_data, outputs, …)."""
Graph = Mapping[str, Any]
log = logging.getLogger("comfywarm")


def guarded(read: Callable[[], T], default: T) -> T:
    """Return `read()`, or `default` if it raises."""
    try:
        return read()
    except Exception:  # third-party code, which may change in any way
        return default


def send(event: str, data: Mapping[str, Any]) -> None:
    """Send one frame to every /ws client. PromptServer.send_sync may be called from any thread."""
    guarded(lambda: PromptServer.instance.send_sync(event, dict(data)), None)


@functools.lru_cache(maxsize=1)
def _inspire_module(_module_count: int) -> Any:
    """Return Inspire-Pack's cache module, under any folder name, or None.

    Cached by the number of imported modules, of which there are thousands, because the watcher calls this often.
    """
    modules = list(sys.modules.items())
    return next((module for name, module in modules if name.endswith("inspire.backend_support")), None)


def inspire_keys() -> list[str] | None:
    """Return the text keys in Inspire-Pack's cache, or None while another thread modifies it.

    A cache of unknown type counts as empty and is logged once.
    """
    try:
        module = _inspire_module(len(sys.modules))
        return [] if module is None else _text_keys(module.cache)
    except RuntimeError:  # "changed size during iteration"
        return None
    except Exception as error:  # third-party code, which may change in any way
        _warn_once(f"comfywarm cannot read the cache of this Inspire-Pack release: {error!r}")
        return []


def _text_keys(cache: Any) -> list[str]:
    """Return the text keys of Inspire-Pack's TaggedCache, which holds one mapping per tag.

    Its public items() counts as a use of every entry, which changes the eviction order.
    """
    tagged = getattr(cache, "_data", None)
    parts = [cache] if tagged is None else list(tagged.values())
    return [key for part in parts for key in list(part) if isinstance(key, str)]


def inspire_data() -> dict[str, Any]:
    """Return the data under each text key of Inspire-Pack's cache, without counting as a use of it."""
    module = _inspire_module(len(sys.modules))
    return {} if module is None else guarded(lambda: _text_entries(module.cache), {})


def _text_entries(cache: Any) -> dict[str, Any]:
    tagged = getattr(cache, "_data", None)
    parts = [cache] if tagged is None else list(tagged.values())
    stores = [getattr(part, "_Cache__data", part) for part in parts]  # the mapping within a cachetools cache
    return {
        key: data
        for store in stores
        if isinstance(store, dict)
        for key, data in list(store.items())
        if isinstance(key, str)
    }


@functools.lru_cache(maxsize=8)
def _warn_once(text: str) -> None:
    log.warning(text)


def serves_https() -> bool:
    """Return whether ComfyUI was started with a certificate."""
    args = guarded(lambda: sys.modules["comfy.cli_args"].args, None)
    return bool(getattr(args, "tls_keyfile", None) and getattr(args, "tls_certfile", None))


def listens_on_loopback_only() -> bool:
    """Return whether ComfyUI was started so that only programs of its machine reach it, which is its default."""
    args = guarded(lambda: sys.modules["comfy.cli_args"].args, None)
    hosts = str(getattr(args, "listen", None) or "").split(",")
    return all(is_loopback(host.strip()) for host in hosts)


def is_loopback(host: str) -> bool:
    """Return whether this is the name or an address of this machine for itself."""
    return host == "localhost" or guarded(lambda: ipaddress.ip_address(host).is_loopback, False)


def loaded_models() -> list[Any]:
    """Return the entries of comfy.model_management.current_loaded_models."""
    management = sys.modules.get("comfy.model_management")
    return guarded(lambda: list(management.current_loaded_models), [])  # type: ignore[union-attr]


def loaded_bytes() -> dict[int, int]:
    """Map each loaded model's id() to its bytes on its compute device.

    ComfyUI may replace the entry of a model, so the model identifies it.
    """
    pairs = (guarded(functools.partial(_identity_and_bytes, entry), None) for entry in loaded_models())
    return dict(pair for pair in pairs if pair)


def _identity_and_bytes(entry: Any) -> tuple[int, int] | None:
    patcher = entry.model
    return None if patcher is None else (id(patcher.model), _loaded_memory(entry))


def _loaded_memory(entry: Any) -> int:
    """Return the model's bytes on its compute device. Releases of 2024 have the figure only at the patcher."""
    read = getattr(entry, "model_loaded_memory", None) or entry.model.loaded_size
    return int(read())


def describe_model(entry: Any) -> tuple[str, int, int]:
    """Return (name, bytes in VRAM, bytes in RAM) of an entry of `loaded_models`; 0 where unknown."""
    name = guarded(lambda: type(entry.model.model).__name__, "model")
    loaded = guarded(lambda: _loaded_memory(entry), 0)
    offloaded = guarded(lambda: int(entry.model_offloaded_memory()), 0)
    on_cpu = guarded(lambda: entry.device.type == "cpu", False)
    return (name, 0, loaded + offloaded) if on_cpu else (name, loaded, offloaded)


def running_step() -> str:
    """Return the nodes that run, with their progress, as text; empty if nothing is known."""
    registry = guarded(lambda: sys.modules["comfy_execution.progress"].global_progress_registry, None)
    running = guarded(lambda: _running(registry), "")
    return running or guarded(lambda: str(PromptServer.instance.last_node_id or ""), "")


def _running(registry: Any) -> str:
    states = [(node, state) for node, state in list(registry.nodes.items()) if state["state"].value == "running"]
    return " ".join(f"{node}:{state['value']:g}/{state['max']:g}" for node, state in states)


def graphs_in_queue() -> list[Graph]:
    """Return the graphs of the running and pending prompts."""
    items: list[Any] = guarded(_queue_items, [])
    graphs = (item[GRAPH] for item in items if isinstance(item, (tuple, list)) and len(item) > GRAPH)
    return [graph for graph in graphs if isinstance(graph, Mapping)]


def _queue_items() -> list[Any]:
    """Return the queue's items, without the deep copy of every graph where the release allows it."""
    queue = PromptServer.instance.prompt_queue
    read = getattr(queue, "get_current_queue_volatile", None) or queue.get_current_queue
    running, pending = read()
    return [*running, *pending]
