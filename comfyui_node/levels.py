"""Where the models of cached keys are: in VRAM, in RAM, or in neither, as ComfyUI's own model management counts them.

Only attributes and counters are read: no GPU call, no lock, and a limited number of objects for each key. A key whose
data holds no model of ComfyUI's, or whose release counts nothing, has no level. docs/node.md describes the levels.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from . import comfy

WORDS = ("key", "ram", "vram")
KEY, RAM, VRAM = range(len(WORDS))
SHARE = 0.5
"""Share of a model's bytes that must be in VRAM or RAM. ComfyUI keeps large models there only in part."""

MAX_KEYS = 200
MAX_OBJECTS = 100
"""Most objects of a key's data, and most attributes of one of them, in which models are looked for."""


class Place(NamedTuple):
    """The level of a key, and the highest one that its models can have on this server."""

    level: int
    highest: int

    def as_json(self) -> dict[str, str]:
        """Return both levels as words."""
        return {"level": WORDS[self.level], "highest": WORDS[self.highest]}


def places_of(data: Mapping[str, Any]) -> dict[str, Place]:
    """Return the place of each key's models, for at most MAX_KEYS keys; keys without one are left out."""
    sizes: dict[int, int] = comfy.guarded(_loaded_sizes, {})
    found = {
        key: comfy.guarded(partial(_place_of, value, sizes), None) for key, value in islice(data.items(), MAX_KEYS)
    }
    return {key: place for key, place in found.items() if place is not None}


def load(data: Any, wanted: str) -> None:
    """Let ComfyUI load the models in `data` that are below the level `wanted`. Raises what ComfyUI raises."""
    patchers: list[Any] = comfy.guarded(partial(_patchers, data), [])
    sizes: dict[int, int] = comfy.guarded(_loaded_sizes, {})
    places = [comfy.guarded(partial(_place, patcher, sizes), None) for patcher in patchers]
    level = WORDS.index(wanted)
    below = [one for one, place in zip(patchers, places) if place is None or _is_below(place, level)]
    if below:
        sys.modules["comfy.model_management"].load_models_gpu(below)


def _is_below(place: Place, wanted: int) -> bool:
    return place.level < min(wanted, place.highest)


def _place_of(value: Any, sizes: Mapping[int, int]) -> Place | None:
    """Return the place of the key's model that is furthest from where it could be, None if the data has no model."""
    places = [_place(patcher, sizes) for patcher in _patchers(value)]
    return min(places, key=lambda place: (place.level >= place.highest, place.level), default=None)


def _place(patcher: Any, sizes: Mapping[int, int]) -> Place:
    """Return where ComfyUI counts the model. Raises an error if the release does not count it, or not its size."""
    loaded = int(patcher.loaded_size())
    size = int(patcher.size) or sizes.get(id(patcher.model), 0)
    if patcher.load_device.type == "cpu":
        return Place(RAM if _holds_most(loaded, size) else KEY, RAM)
    if _holds_most(loaded, size):
        return Place(VRAM, VRAM)
    if getattr(patcher, "is_dynamic", bool)():
        return Place(RAM if _holds_most(loaded + int(patcher.loaded_ram_size()), size) else KEY, VRAM)
    in_ram = loaded or patcher.current_loaded_device().type == "cpu"
    return Place(RAM if in_ram else VRAM, VRAM)


def _holds_most(held: int, size: int) -> bool:
    if held and size <= 0:
        raise ValueError("the size of the model is not known")
    return held > 0 and held >= SHARE * size


def _loaded_sizes() -> dict[int, int]:
    """Map the id() of each loaded model to its bytes. ComfyUI counts them in one of several patchers of a model."""
    patchers = [entry.model for entry in comfy.loaded_models()]
    return {id(patcher.model): int(patcher.size) for patcher in patchers if patcher is not None}


def _patchers(value: Any) -> list[Any]:
    """Return ComfyUI's models in a key's data: in lists and mappings, and among the attributes of objects."""
    kind = sys.modules["comfy.model_patcher"].ModelPatcher
    found, waiting = [], [value]
    for one in waiting:  # it grows, at most to MAX_OBJECTS
        left = MAX_OBJECTS - len(waiting)
        if isinstance(one, kind):
            found.append(one)
        elif isinstance(one, (tuple, list)):
            waiting += one[: max(left, 0)]
        elif isinstance(one, dict):
            waiting += list(islice(one.values(), max(left, 0)))
        else:
            attributes = list(islice(getattr(one, "__dict__", {}).values(), MAX_OBJECTS))
            found += [inner for inner in attributes if isinstance(inner, kind)]
    return list(dict.fromkeys(found))
