"""Reload without restart: watch settings.json and the workflow files, and read them again on SIGHUP.

Files are invalid for a moment while an editor writes them, and longer after a mistake. An invalid configuration is
refused as a whole, with its error, and the active one stays.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from loguru import logger
from watchfiles import Change, awatch

from statemachine.core.messages import NO_MESSAGE, Message, joined, message, verbatim, without_error_number
from statemachine.core.vocabulary import Notice
from statemachine.daemon.config import SettingsFile, newly_broken, reload_config, waiting_for_restart
from statemachine.daemon.systemd import ServiceManager
from statemachine.fleet.diff import Changes, LoadedConfig
from statemachine.settings import Settings, SettingsError

SETTLE_MS = 300
"""Editors write, rename and touch files; all changes within this time are one."""
WATCH_RETRY_S = 5.0

Apply = Callable[[LoadedConfig], Awaitable[Changes]]
Notify = Callable[[Notice, Message], None]


class Reloader:
    """Keep the active configuration equal to the files.

    `active` returns the active configuration. `apply` makes another one active; it raises OSError, before it changes
    anything, if a file that the settings name cannot be read. `notify` records a notice.
    """

    def __init__(
        self,
        source: SettingsFile,
        active: Callable[[], LoadedConfig],
        apply: Apply,
        notify: Notify,
        manager: ServiceManager,
    ) -> None:
        self._source = source
        self._manager = manager
        self._active, self._started_with = active, active().settings
        self._read = self._started_with
        self._apply = apply
        self._notify = notify
        self._wanted = asyncio.Event()
        self._refused = NO_MESSAGE

    def request(self) -> None:
        """Read the files again soon."""
        logger.info("reloading the settings")
        self._wanted.set()

    async def run(self) -> None:
        """Reload at every request and every change of a file, until cancelled."""
        watching = asyncio.ensure_future(self._watch())
        try:
            await self._reload_safely()  # files may have changed since the start
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                self._manager.reloading()
                await self._reload_safely()
                self._manager.ready()
        finally:
            watching.cancel()

    async def _reload_safely(self) -> None:
        """An unexpected exception must not stop reloading: log it and refuse the change."""
        try:
            await self._reload()
        except Exception as error:
            logger.exception("reloading the settings failed")
            self._refuse(message("internal_error", error=type(error).__name__))

    async def _reload(self) -> None:
        try:
            fresh = await reload_config(self._source)
        except SettingsError as error:
            self._refuse(error.message)
            return
        before = self._active()
        if broken := newly_broken(before, fresh):
            self._refuse(joined([one.message for one in broken]))
            return
        try:
            changes = await self._apply(fresh)
        except OSError as error:
            self._refuse(verbatim(without_error_number(str(error))))
            return
        was_refused, self._refused = bool(self._refused), NO_MESSAGE
        last_read, self._read = self._read, fresh.settings
        if changes or was_refused or last_read != fresh.settings:
            self._notify(Notice.SETTINGS_RELOADED, _summary(changes, last_read, self._started_with, fresh.settings))

    def _refuse(self, why: Message) -> None:
        """Record a refusal once: a file that stays invalid is read again with every change beside it."""
        if why != self._refused:
            self._refused = why
            self._notify(Notice.SETTINGS_REFUSED, why)

    async def _watch(self) -> None:
        """Watch the folders; retry if inotify fails or a folder disappears. SIGHUP works meanwhile."""
        while True:
            try:
                await self._watch_folders(self._folders())
            except (OSError, RuntimeError) as error:
                logger.warning("cannot watch the settings for changes now; SIGHUP still reloads them: {}", error)
                await asyncio.sleep(WATCH_RETRY_S)
            self._wanted.set()  # files may have changed meanwhile

    async def _watch_folders(self, folders: list[Path]) -> None:
        """Watch until the set of folders changes."""
        watching = awatch(
            *folders, watch_filter=self._is_read, debounce=SETTLE_MS, recursive=False, yield_on_timeout=True
        )
        async for found in watching:
            if found:
                self._wanted.set()
            if self._folders() != folders:
                return

    def _folders(self) -> list[Path]:
        """Return the folders to watch: an editor may replace a file, and a link may lead elsewhere later."""
        path, workflows = self._source.path, self._active().settings.workflows_dir
        wanted = {path.absolute().parent, path.resolve().parent, workflows.resolve()}
        return sorted(folder for folder in wanted if folder.is_dir())

    def _is_read(self, _change: Change, path: str) -> bool:
        """Return whether it is the settings, a workflow file, or a link by which a container swaps a whole folder."""
        found, settings = Path(path), self._source.path
        if found.name.startswith("..") or found.name in (settings.name, settings.resolve().name):
            return True
        return found.suffix == ".json" and found.parent.resolve() == self._active().settings.workflows_dir.resolve()


def _summary(changes: Changes, last_read: Settings, started: Settings, fresh: Settings) -> Message:
    """Return what has changed, and which settings wait for another start, of the daemon or of the gateway."""
    added, removed, changed = len(changes.added), len(changes.removed), len(changes.changed)
    summary = [message("servers_reconfigured", added=added, removed=removed, changed=changed)]
    keys = [key for key in Settings.model_fields if getattr(last_read, key) != getattr(fresh, key)]
    if sections := [key for key in keys if key != "servers"]:
        summary.append(message("sections_changed", keys=sections))
    if later := waiting_for_restart(started, fresh):
        summary.append(message("restart_needed", keys=later))
    if started.gateway != fresh.gateway:
        summary.append(message("gateway_restart_needed"))
    return joined(summary)
