"""The web side: API, stream, page and metrics. It reads snapshot and journal, and acts only through a port."""

from statemachine.web.app import build_app, build_runner
from statemachine.web.ports import WebPorts

__all__ = ["WebPorts", "build_app", "build_runner"]
