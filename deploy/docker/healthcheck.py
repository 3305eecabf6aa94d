"""Docker's HEALTHCHECK: exits 0 if the daemon answers that it is alive. The first argument is the settings file.

It connects as the command line does, with the port, host and certificate of the settings.
"""

import asyncio
import os
import sys
from pathlib import Path

from statemachine.client import DaemonError
from statemachine.client.access import daemon_api
from statemachine.settings import SettingsError, load_settings


async def check(settings_file: Path) -> None:
    """Request /healthz from the daemon. Raises DaemonError or SettingsError."""
    async with daemon_api(load_settings(settings_file, os.environ)) as api:
        await api.get("/healthz")


if __name__ == "__main__":
    try:
        asyncio.run(check(Path(sys.argv[1])))
    except (DaemonError, SettingsError) as error:
        sys.exit(str(error))
