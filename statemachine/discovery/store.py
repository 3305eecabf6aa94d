"""The last known targets of every source, in a file of the data folder.

With it a daemon that starts while a source is down has the servers of before, and the commands know them.
"""

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import orjson
from loguru import logger

from statemachine.discovery.target import MAX_TARGETS, Target
from statemachine.journal.database import DISCOVERED_FILE
from statemachine.journal.private import DataFolderError, open_private, require_readable
from statemachine.settings.expand import parse_url
from statemachine.settings.files import read_limited
from statemachine.settings.problems import NotAllowedError

MAX_BYTES = 256 * 2**20
VERSION = 1

KnownTargets = Mapping[str, tuple[Target, ...]]
"""The targets of every source by its name."""


class TargetStore(Protocol):
    """Keeps the targets of every source over restarts."""

    async def load(self) -> KnownTargets:
        """Return the stored targets; none if they cannot be read."""
        ...

    async def save(self, known: KnownTargets) -> None:
        """Store the targets. Errors are logged."""
        ...


class FileStore:
    """The file in the data folder of a daemon."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._is_failing = False

    async def load(self) -> KnownTargets:
        """Return the stored targets; none if they cannot be read."""
        try:
            return await asyncio.to_thread(read_targets, self._folder)
        except (OSError, ValueError, DataFolderError) as error:
            logger.warning("cannot read the last known servers, so only the sources name them: {}", error)
            return {}

    async def save(self, known: KnownTargets) -> None:
        """Store the targets. The first of several errors is logged."""
        try:
            await asyncio.to_thread(write_targets, self._folder, known)
            self._is_failing = False
        except (OSError, DataFolderError) as error:
            if not self._is_failing:
                logger.warning("cannot store the discovered servers, which a restart would then not know: {}", error)
            self._is_failing = True


def read_targets(folder: Path) -> KnownTargets:
    """Return the stored targets; none if there is no file. Blocks. Raises OSError, ValueError or DataFolderError."""
    path = folder / DISCOVERED_FILE
    require_readable(path)
    try:
        data = read_limited(path, MAX_BYTES)
    except FileNotFoundError:
        return {}
    if len(data) > MAX_BYTES:
        raise ValueError(f"{path} is larger than {MAX_BYTES} bytes")
    return _targets_of(orjson.loads(data))


def write_targets(folder: Path, known: KnownTargets) -> None:
    """Replace the file at once. Blocks. Raises OSError or DataFolderError."""
    fresh = folder / f"{DISCOVERED_FILE}.new"
    descriptor = open_private(fresh)
    with os.fdopen(descriptor, "wb") as file:
        file.truncate()
        file.write(orjson.dumps({"version": VERSION, "sources": {name: _as_json(one) for name, one in known.items()}}))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / DISCOVERED_FILE)


def _as_json(targets: tuple[Target, ...]) -> list[dict[str, Any]]:
    return [{"url": one.address.url, "labels": dict(one.labels)} for one in targets]


def _targets_of(data: Any) -> KnownTargets:
    """Return the targets; raise ValueError if the file is not ours. Targets that cannot be used are left out."""
    if not isinstance(data, dict) or data.get("version") != VERSION or not isinstance(data.get("sources"), dict):
        raise ValueError("not a list of servers of this version")
    return {str(name): tuple(_read(ones)) for name, ones in data["sources"].items() if isinstance(ones, list)}


def _read(ones: list[Any]) -> list[Target]:
    targets = list[Target]()
    for one in ones[:MAX_TARGETS]:
        with suppress(NotAllowedError, KeyError, TypeError, AttributeError):
            labels = {str(name): str(value) for name, value in one["labels"].items()}
            targets.append(Target(parse_url(one["url"]), labels))
    return targets
