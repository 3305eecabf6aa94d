"""Custom nodes for the tests. Only ComfyUI imports them, from a copy in its `custom_nodes`."""

import importlib
import os
import sys
import threading

from . import config, routes
from .cache import preload
from .choices import RigComboChoice, RigFileChoice, RigFilledChoice, RigPlaceholderChoice, register_replacement
from .faults import RigBlocks, RigEndsServer, RigEndsWorker
from .slow import RigAfter, RigSlowModel
from .work import RigTorchModel, RigWork

NODE_CLASS_MAPPINGS = {
    "RigSlowModel": RigSlowModel,
    "RigFilledChoice": RigFilledChoice,
    "RigPlaceholderChoice": RigPlaceholderChoice,
    "RigFileChoice": RigFileChoice,
    "RigComboChoice": RigComboChoice,
    "RigEndsServer": RigEndsServer,
    "RigEndsWorker": RigEndsWorker,
    "RigBlocks": RigBlocks,
    "RigTorchModel": RigTorchModel,
    "RigWork": RigWork,
    "RigAfter": RigAfter,
}


def end_with_parent() -> None:
    """Exit when the test run has ended, which closes the standard input of this process."""
    sys.stdin.buffer.read()
    os._exit(1)


if config.INSPIRE != "pack":
    stand_in = importlib.import_module(".stand_in", __name__)
    NODE_CLASS_MAPPINGS["CacheBackendData //Inspire"] = stand_in.CacheBackendData
    if config.INSPIRE == "stand-in":
        stand_in.add_routes()
preload()
register_replacement()
routes.add()
threading.Thread(target=end_with_parent, daemon=True).start()
