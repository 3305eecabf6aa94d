"""Stand-ins for torchvision and torchaudio, which have no build for the torch that the rig uses.

ComfyUI imports both at its start, for models that no test loads. Python imports this module at startup if its folder
is in PYTHONPATH.
"""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from typing_extensions import override

PACKAGES = ("torchvision", "torchaudio")


class StandIn(ModuleType):
    """A module that has every attribute. Each attribute is a stand-in and can be called."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []

    @override
    def __getattr__(self, name: str) -> "StandIn":
        if name.startswith("__"):
            raise AttributeError(name)
        return StandIn(f"{self.__name__}.{name}")

    def __call__(self, *args: object, **kwargs: object) -> "StandIn":
        return StandIn(f"{self.__name__}()")


class StandInLoader(Loader):
    """Makes the stand-in for a package or any module in it."""

    @override
    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return StandIn(spec.name)

    @override
    def exec_module(self, module: ModuleType) -> None:
        pass


class StandInFinder(MetaPathFinder):
    """Finds the modules of the packages that are stood in for."""

    @override
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in PACKAGES:
            return None
        return ModuleSpec(fullname, StandInLoader(), is_package=True)


sys.meta_path.insert(0, StandInFinder())
