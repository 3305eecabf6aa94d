"""Change without restart: settings.json and the workflow files are watched, and read again on SIGHUP.

Files are wrong for a moment while an editor writes them, and for longer where somebody errs: whatever cannot be used is
refused whole, with its error, and what was in force stays in force.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from loguru import logger
from watchfiles import Change, awatch

from statemachine.core.messages import NO_MESSAGE, Message, joined, message, verbatim
from statemachine.core.text import without_error_number
from statemachine.core.vocabulary import Notice
from statemachine.daemon.config import SettingsFile, newly_broken, reload_config, waiting_for_restart
from statemachine.daemon.systemd import ServiceManager
from statemachine.fleet.diff import Changes, LoadedConfig
from statemachine.settings import SettingsError

SETTLE_MS = 300
"""Editors write, rename and touch; what happens within this time is one change."""
WATCH_AGAIN_S = 5.0

Apply = Callable[[LoadedConfig], Awaitable[Changes]]
Notify = Callable[[Notice, Message], None]


class Reloader:
    """Keeps the active configuration equal to the files.

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
        self._apply = apply
        self._notify = notify
        self._wanted = asyncio.Event()
        self._refused = NO_MESSAGE

    def request(self) -> None:
        """Read the files again soon."""
        logger.info("the settings are read again")
        self._wanted.set()

    async def run(self) -> None:
        """Reload at every request and every change of a file, for ever."""
        watching = asyncio.ensure_future(self._watch())
        try:
            await self._reload_whatever_happens()  # what changed since the start read it
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                self._manager.reloading()
                await self._reload_whatever_happens()
                self._manager.ready()
        finally:
            watching.cancel()

    async def _reload_whatever_happens(self) -> None:
        """A fault of our own must not end reloading: nobody would notice until a change is not obeyed."""
        try:
            await self._reload()
        except Exception as error:
            logger.exception("the settings could not be read again")
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
        healed, self._refused = bool(self._refused), NO_MESSAGE
        if changes or healed or before.settings != fresh.settings:
            later = waiting_for_restart(self._started_with, fresh.settings)
            self._notify(Notice.SETTINGS_RELOADED, _summary(changes, later))

    def _refuse(self, why: Message) -> None:
        """Say it once: a file that stays wrong is found wrong again whenever something beside it changes."""
        if why != self._refused:
            self._refused = why
            self._notify(Notice.SETTINGS_REFUSED, why)

    async def _watch(self) -> None:
        """Without inotify, or where a folder goes away, SIGHUP is left, and watching is tried again."""
        while True:
            try:
                await self._watch_folders(self._folders())
            except (OSError, RuntimeError) as error:
                logger.warning("changes of the settings are not noticed for now (SIGHUP works): {}", error)
                await asyncio.sleep(WATCH_AGAIN_S)
            self._wanted.set()  # what changed while nothing was watched

    async def _watch_folders(self, folders: list[Path]) -> None:
        """Ends where other folders must be watched."""
        watching = awatch(
            *folders, watch_filter=self._is_read, debounce=SETTLE_MS, recursive=False, yield_on_timeout=True
        )
        async for found in watching:
            if found:
                self._wanted.set()
            if self._folders() != folders:
                return

    def _folders(self) -> list[Path]:
        """Folders, not files: an editor may put a new file in the old one's place. Where links lead may change."""
        path, workflows = self._source.path, self._active().settings.workflows_dir
        wanted = {path.absolute().parent, path.resolve().parent, workflows.resolve()}
        return sorted(folder for folder in wanted if folder.is_dir())

    def _is_read(self, _change: Change, path: str) -> bool:
        """JSON files, and the links by which containers swap a whole folder of them."""
        name = Path(path).name
        return name.endswith(".json") or name.startswith("..") or name == self._source.path.name


def _summary(changes: Changes, later: list[str]) -> Message:
    added, removed, changed = len(changes.added), len(changes.removed), len(changes.changed)
    summary = message("servers_reconfigured", added=added, removed=removed, changed=changed)
    return joined([summary, message("restart_needed", keys=later)]) if later else summary
