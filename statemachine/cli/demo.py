"""The demo: a real daemon and a simulated fleet in one process, with all states within a minute."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop
from loguru import logger

from statemachine.comfyui.bundled import WORKFLOWS
from statemachine.core.ports import Action
from statemachine.daemon.app import Daemon, running_daemon, until_stopped
from statemachine.daemon.logging import configure_logging
from statemachine.i18n.text import locale_language
from statemachine.settings import Settings, parse_settings
from statemachine.settings.model import Logging
from statemachine.simulator import Member, SimFleet, demo_fleet

PAUSED_PROFILE = "inspire"
PAUSE_AFTER_S = 5.0


@asynccontextmanager
async def running_demo(port: int) -> AsyncIterator[Daemon]:
    """Run the demo with its page on 127.0.0.1 at `port` (0 selects a free port). Its files are temporary."""
    with TemporaryDirectory(prefix="comfywarm-demo-") as folder:
        async with demo_fleet() as fleet, running_daemon(_settings(fleet, Path(folder), port)) as daemon:
            pausing = asyncio.create_task(_pause_one(fleet, daemon))
            try:
                logger.info("demo: {} simulated servers; nothing here touches a real one", len(fleet.members))
                yield daemon
            finally:
                pausing.cancel()


def serve_demo(port: int) -> None:
    """Run the demo with its page at `port` until SIGINT or SIGTERM."""
    configure_logging(Logging(file=None))
    uvloop.run(until_stopped(running_demo(port)))


def _settings(fleet: SimFleet, folder: Path, port: int) -> Settings:
    """Return settings with shorter intervals than a real fleet needs."""
    data = {
        "listen": {"port": port},
        "language": locale_language(os.environ),
        "data_dir": str(folder),
        "workflows_dir": str(WORKFLOWS),
        "servers": [{"url": one.url, "group": one.group, "name": name} for name, one in _named(fleet).items()],
        "timing": {"check_interval_s": 15, "busy_wait_s": 30, "failed_retry_s": 60, "warm_timeout_s": 60},
        "limits": {"max_warming": 4, "max_warming_per_host": 4},
        "logging": {"file": None},
    }
    return parse_settings(data, folder, {})


async def _pause_one(fleet: SimFleet, daemon: Daemon) -> None:
    """Pause one server, so that this state is shown, too."""
    await asyncio.sleep(PAUSE_AFTER_S)
    name = next(name for name, member in _named(fleet).items() if member.server.profile.name == PAUSED_PROFILE)
    await daemon.fleet.act(name, Action.PAUSE)


def _named(fleet: SimFleet) -> dict[str, Member]:
    """Return the servers by the name of their profile, numbered if several have the same one."""
    named: dict[str, Member] = {}
    for member in fleet.members:
        profile = member.server.profile.name.replace("_", "-")
        alike = sum(other.server.profile is member.server.profile for other in named.values())
        named[f"{profile}-{alike + 1}" if alike else profile] = member
    return named
