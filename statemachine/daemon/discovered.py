"""The configuration of the files, completed by the servers that their sources make."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from statemachine.discovery.service import Discovery
from statemachine.fleet.diff import Changes, LoadedConfig, compare


class DiscoveredFleet:
    """The loaded configuration and its discovery."""

    def __init__(self, loaded: LoadedConfig, discovery: Discovery) -> None:
        self.discovery = discovery
        self._use(loaded)

    @contextmanager
    def reloading(self, loaded: LoadedConfig) -> Iterator[Changes]:
        """Use another configuration of the files; yield what it changes, without what the sources have changed before.

        If the block fails, the configuration is refused: use the one of before.
        """
        before = self._loaded
        with self.discovery.reconfiguring():
            whole = self.config
            self._use(loaded)
            try:
                yield compare(whole, self.config)
            except Exception:
                self._use(before)
                raise

    def _use(self, loaded: LoadedConfig) -> None:
        self._loaded = loaded
        self.discovery.configure(loaded.settings, loaded.servers)

    @property
    def config(self) -> LoadedConfig:
        """The configuration of the whole fleet."""
        return replace(self._loaded, servers=(*self._loaded.servers, *self.discovery.servers))

    @property
    def names(self) -> list[str]:
        """The names of the servers that are not in the settings."""
        return [one.name for one in self.discovery.servers]
