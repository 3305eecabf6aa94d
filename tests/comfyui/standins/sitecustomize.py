"""Stand-ins for torchvision and torchaudio, which have no build for the torch that the rig uses.

ComfyUI imports both at its start, for models that no test loads. Python imports this module at startup if its folder
is in PYTHONPATH.
"""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

from typing_extensions import override


class StandIn(ModuleType):
    """A module that has every attribute. Each attribute is a stand-in and can be called."""

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
