"""Where a rolling restart is stored: the port, the stored form, and the journal of a single daemon."""

from typing import NamedTuple, Protocol

from loguru import logger
from pydantic import TypeAdapter
from typing_extensions import override

from statemachine.core.messages import one_line
from statemachine.core.rollout import Rollout
from statemachine.journal.port import JournalPort, JournalUnavailableError

_FORM = TypeAdapter(Rollout)


class RolloutsUnavailableError(Exception):
    """Runs cannot be read or written at the moment. A write may or may not have been applied."""


class RolloutConflictError(Exception):
    """Another node has changed the run since it was read."""


class StoredRollout(NamedTuple):
    """The latest run, None if there is none that is understood, and the revision at which `save` replaces it."""

    run: Rollout | None
    revision: int


class RolloutStore(Protocol):
    """Keeps the latest run. `load` and `save` raise RolloutsUnavailableError."""

    @property
    def may_run(self) -> bool:
        """Whether this daemon carries the run out; in a cluster one node does."""
        ...

    async def load(self) -> StoredRollout:
        """Return the latest run, which may have ended."""
        ...

    async def save(self, run: Rollout, revision: int) -> None:
        """Store the run durably at this revision (0: nothing is stored yet), or raise RolloutConflictError."""
        ...


def encoded(run: Rollout) -> bytes:
    """Return the run as JSON."""
    return _FORM.dump_json(run, exclude_defaults=True)


class JournalRollouts(RolloutStore):
    """Keeps runs in the journal of a single daemon, which alone writes them."""

    def __init__(self, journal: JournalPort) -> None:
        self._journal = journal
        self._latest: StoredRollout | None = None

    @property
    @override
    def may_run(self) -> bool:
        return True

    @override
    async def load(self) -> StoredRollout:
        if self._latest is None:
            try:
                document = await self._journal.file.newest_rollout()
            except JournalUnavailableError as error:
                raise RolloutsUnavailableError(str(error)) from error
            self._latest = StoredRollout(None if document is None else understood(document), 0)
        return self._latest

    @override
    async def save(self, run: Rollout, revision: int) -> None:
        if revision != (await self.load()).revision:
            raise RolloutConflictError
        try:
            await self._journal.file.save_rollout(run.id, run.started_at, encoded(run).decode())
        except JournalUnavailableError as error:
            self._latest = None
            raise RolloutsUnavailableError(str(error)) from error
        self._latest = StoredRollout(run, revision + 1)


def understood(document: str | bytes) -> Rollout | None:
    """Return the run of another process or version, None if it is not understood, which does not resume it."""
    try:
        return _FORM.validate_json(document)
    except ValueError as error:
        logger.error("the stored rolling restart is not understood and not resumed: {}", one_line(str(error)[:500]))
        return None
