"""The daemon and two gateways as processes that are killed and started again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from campaigns.gateway.fleet import Fleet
from campaigns.kill.process import DaemonProcess
from tests.support.ports import free_port

TIMING = {"check_interval_s": 1, "retry_s": 0.2, "failed_retry_s": 3, "lost_grace_s": 5, "link_backoff_max_s": 1}
GATEWAYS = ("one", "two")
MAX_PROMPTS = 2000


class GatewayProcess(DaemonProcess):
    """A gateway, beside a daemon at this port."""

    verb = "gateway"

    def __init__(self, folder: Path, servers: Mapping[str, str], daemon_port: int) -> None:
        folder.mkdir(exist_ok=True)
        section = {"port": free_port(), "data_dir": str(folder / "gateway"), "max_prompts": MAX_PROMPTS}
        super().__init__(folder, {"servers": _named(servers), "listen": {"port": daemon_port}, "gateway": section})
        self.address = f"http://127.0.0.1:{section['port']}"


def daemon_over(folder: Path, fleet: Fleet) -> DaemonProcess:
    """Return a daemon that keeps the servers warm."""
    settings = {
        "servers": _named(fleet.urls),
        "workflows": list(fleet.workflows),
        "workflows_dir": str(fleet.workflows_dir),
        "timing": TIMING,
        "limits": {"max_warming": 8, "max_warming_per_host": 8},
    }
    folder.mkdir(exist_ok=True)
    return DaemonProcess(folder, settings)


def _named(urls: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "url": url} for name, url in urls.items()]
