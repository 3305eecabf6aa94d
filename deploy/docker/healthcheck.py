"""Docker's HEALTHCHECK: does the daemon of the settings file in the first argument say that it is alive?

It asks as the command line does, so that port, host and certificate are those of the settings.
"""

import asyncio
import os
import sys
from pathlib import Path

from statemachine.cli.api_client import DaemonError, daemon_api
from statemachine.settings import SettingsError, load_settings


async def ask(settings_file: Path) -> None:
    """Return if it is; raises DaemonError or SettingsError."""
    async with daemon_api(load_settings(settings_file, os.environ)) as api:
        await api.get("/healthz")


if __name__ == "__main__":
    try:
        asyncio.run(ask(Path(sys.argv[1])))
    except (DaemonError, SettingsError) as error:
        sys.exit(str(error))
