"""The web side: API, event stream, page and metrics. It reads the snapshot and the journal, and acts through a port."""

from statemachine.web.app import build_app, build_runner
from statemachine.web.ports import WebPorts

__all__ = ["WebPorts", "build_app", "build_runner"]
