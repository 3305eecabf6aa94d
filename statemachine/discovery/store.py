"""The last known targets of every source, in a file, and the servers that the fleet had then.

With it a daemon that starts while a source is down has the servers of before, and the commands know them.
"""

import asyncio
import os
from collections.abc import Iterator, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import orjson
from loguru import logger

from statemachine.discovery.configs import DiscoveredConfigs
from statemachine.discovery.reconciler import Reconciler
from statemachine.discovery.source_state import SourceRules
from statemachine.discovery.target import MAX_TARGETS, Target, address_key
from statemachine.journal.database import DISCOVERED_FILE
from statemachine.journal.private import DataFolderError, open_private, require_readable
from statemachine.settings import ServerConfig, Settings, resolve_servers
from statemachine.settings.expand import MAX_SERVERS, parse_url
from statemachine.settings.files import read_limited
from statemachine.settings.problems import NotAllowedError

MAX_BYTES = 256 * 2**20
VERSION = 1
MAX_STORED = 2 * MAX_TARGETS
"""Targets of a source that are read back: those that it lists, and as many that have vanished."""


@dataclass(frozen=True, slots=True)
class KnownTargets:
    """The targets of every source by its name, and the names of those that are servers of the fleet, by their keys."""

    targets: Mapping[str, tuple[Target, ...]] = field(default_factory=dict)
    members: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


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
            return KnownTargets()

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
        return KnownTargets()
    if len(data) > MAX_BYTES:
        raise ValueError(f"{path} is larger than {MAX_BYTES} bytes")
    return _targets_of(orjson.loads(data))


def known_version(folder: Path) -> tuple[int, int, int] | None:
    """Return what changes with the stored targets, None if there are none. Blocks. Raises OSError."""
    try:
        found = (folder / DISCOVERED_FILE).stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def write_targets(folder: Path, known: KnownTargets) -> None:
    """Replace the file at once. Blocks. Raises OSError or DataFolderError."""
    fresh = folder / f"{DISCOVERED_FILE}.new"
    descriptor = open_private(fresh)
    with os.fdopen(descriptor, "wb") as file:
        file.truncate()
        file.write(orjson.dumps(_as_json(known)))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / DISCOVERED_FILE)


def _as_json(known: KnownTargets) -> dict[str, Any]:
    sources = {
        name: [_target_as_json(one, known.members.get(name, {}).get(one.key)) for one in ones]
        for name, ones in known.targets.items()
    }
    return {"version": VERSION, "sources": sources}


def _target_as_json(one: Target, server: str | None) -> dict[str, Any]:
    named = {} if server is None else {"server": server}
    return {"url": one.address.url, "labels": dict(one.labels), **named}


def _targets_of(data: Any) -> KnownTargets:
    """Return the targets; raise ValueError if the file is not ours. Targets that cannot be used are left out."""
    if not isinstance(data, dict) or data.get("version") != VERSION or not isinstance(data.get("sources"), dict):
        raise ValueError("not a list of servers of this version")
    read = {str(name): dict(_read(ones)) for name, ones in data["sources"].items() if isinstance(ones, list)}
    members = {
        name: {target.key: server for target, server in ones.items() if server is not None}
        for name, ones in read.items()
    }
    return KnownTargets({name: tuple(ones) for name, ones in read.items()}, members)


def _read(ones: list[Any]) -> Iterator[tuple[Target, str | None]]:
    """Yield the targets that can be used, and the names of those that were servers."""
    for one in ones[:MAX_STORED]:
        with suppress(NotAllowedError, KeyError, TypeError, AttributeError):
            labels = {str(name): str(value) for name, value in one["labels"].items()}
            target, server = Target(parse_url(one["url"]), labels), one.get("server")
            yield target, server if isinstance(server, str) else None


def known_servers(settings: Settings, *, warns: bool = True) -> tuple[ServerConfig, ...]:
    """Return the servers of the settings, and those that the daemon with this data folder has discovered. Blocks."""
    try:
        return read_known_servers(settings)
    except (OSError, ValueError, DataFolderError) as error:
        if warns:
            logger.warning("cannot read the discovered servers in {}: {}", settings.data_dir, error)
        return resolve_servers(settings)


def read_known_servers(settings: Settings) -> tuple[ServerConfig, ...]:
    """Do the same as `known_servers`. Raises OSError, ValueError or DataFolderError."""
    own = resolve_servers(settings)
    if not settings.discovery:
        return own
    reconciler, configs = Reconciler(), DiscoveredConfigs()
    configs.configure(settings)
    reconciler.set_sources([SourceRules.of(one) for one in settings.discovery])
    known = read_targets(settings.data_dir)
    for name, targets in known.targets.items():
        reconciler.restore(name, targets, known.members[name])
    keys, names = {address_key(one.url) for one in own}, {one.name for one in own}
    return (*own, *configs.build(reconciler.fleet(keys, names, MAX_SERVERS - len(own)).servers))


def source_ca_files(settings: Settings) -> Set[Path]:
    """Return the CA files of the servers that sources may name."""
    found = {(one.tls or settings.tls).ca_file for one in settings.discovery}
    return {one for one in found if one is not None}
