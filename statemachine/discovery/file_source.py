"""A file in the format of Prometheus' file_sd, which is watched."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import yaml
from watchfiles import awatch

from statemachine.core.messages import message, one_line
from statemachine.discovery.source import Report, SourceError
from statemachine.discovery.target import Listing
from statemachine.discovery.target_groups import parse_groups
from statemachine.settings.files import read_limited
from statemachine.settings.problems import os_error_text

MAX_BYTES = 16 * 2**20
SETTLE_MS = 300
"""Editors write, rename and touch files; all changes within this time are one."""

LOOK_S = 0.4
"""How often the file is examined also without an event: some file systems report none, nor do links that move."""

YAML_SUFFIXES = frozenset({".yml", ".yaml"})

Signature = tuple[int, int, int]
"""Inode, time of the last change in ns, and size."""


class FileTargets:
    """Reports the targets of a file at the start and after each change."""

    def __init__(self, path: Path, scheme: str) -> None:
        self._path = path
        self._scheme = scheme
        self._seen: Signature | None = None

    async def run(self, report: Report) -> None:
        """Report the file's targets whenever it changes, until cancelled. Raises SourceError."""
        try:
            self._seen = await self._signature()
            report(await self._read())
            async for _ in awatch(
                self._path.parent,
                debounce=SETTLE_MS,
                rust_timeout=round(LOOK_S * 1000),
                recursive=False,
                yield_on_timeout=True,
            ):
                found = await self._signature()
                if found != self._seen:
                    self._seen = found
                    report(await self._read())
        except (OSError, RuntimeError) as error:
            raise self._error(error) from None

    async def changed(self) -> None:
        """Return when the file differs from the one that was read last, and is not being written any more."""
        last = self._seen
        while True:
            found = await self._signature()
            if found is not None and found == last and found != self._seen:
                return
            last = found
            await asyncio.sleep(LOOK_S)

    async def _read(self) -> Listing:
        return await asyncio.to_thread(read_target_file, self._path, self._scheme)

    async def _signature(self) -> Signature | None:
        """Return what changes with the file's content, also where the path is a link; None without a file."""
        try:
            found = await asyncio.to_thread(self._path.stat)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _error(self, error: Exception) -> SourceError:
        text = os_error_text(error).lower() if isinstance(error, OSError) else one_line(str(error))
        return SourceError(message("source_file", path=str(self._path), error=text))


def read_target_file(path: Path, scheme: str) -> Listing:
    """Return the targets of a file. Blocks. Raises OSError and SourceError."""
    data = read_limited(path, MAX_BYTES)
    if len(data) > MAX_BYTES:
        raise SourceError(message("source_too_large", bytes=MAX_BYTES))
    decode: Callable[[bytes], Any] = _from_yaml if path.suffix.lower() in YAML_SUFFIXES else from_json
    return parse_groups(decode(data), scheme)


def from_json(data: bytes) -> Any:
    """Return the decoded JSON. Raises SourceError."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        text = f"{error.msg} (line {error.lineno}, column {error.colno})"
    raise SourceError(message("source_invalid_json", error=text))


def _from_yaml(data: bytes) -> Any:
    try:
        return yaml.load(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        text = one_line(str(error))
    raise SourceError(message("source_invalid_yaml", error=text))
