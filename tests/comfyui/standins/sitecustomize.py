"""Stand-ins for torchvision and torchaudio, which have no build for the CPU torch that the rig uses.

ComfyUI imports both while it starts, for models that no test loads. Python imports this module by itself when
its folder is on PYTHONPATH, before ComfyUI's own imports.
"""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

from typing_extensions import override


class StandIn(ModuleType):
    """A module with every name in it. Whatever is taken from it can be called, and gives another stand-in."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None, is_package=True)
        self.__path__: list[str] = []

    @override
    def __getattr__(self, name: str) -> "StandIn":
        if name.startswith("__"):
            raise AttributeError(name)
        return StandIn(f"{self.__name__}.{name}")

    def __call__(self, *args: object, **kwargs: object) -> "StandIn":
        return StandIn(f"{self.__name__}()")


for package in ("torchvision", "torchaudio"):
    for module in (package, f"{package}.transforms", f"{package}.functional"):
        sys.modules[module] = StandIn(module)
