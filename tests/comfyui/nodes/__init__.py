"""The tests' own custom nodes: imported by ComfyUI alone, from a copy in its `custom_nodes`."""

import os
import sys
import threading

from . import routes
from .cache import preload
from .slow import CacheBackendData, RigSlowModel
from .work import RigTorchModel, RigWork

NODE_CLASS_MAPPINGS = {
    "RigSlowModel": RigSlowModel,
    "CacheBackendData //Inspire": CacheBackendData,
    "RigTorchModel": RigTorchModel,
    "RigWork": RigWork,
}


def end_with_parent() -> None:
    """Leave when the test run is gone, however it ended: it holds the other end of our standard input."""
    sys.stdin.buffer.read()
    os._exit(1)


preload()
routes.add()
threading.Thread(target=end_with_parent, daemon=True).start()
