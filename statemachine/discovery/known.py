"""The servers that a daemon knew last, for the commands."""

from collections.abc import Set
from pathlib import Path

from loguru import logger

from statemachine.discovery.configs import DiscoveredConfigs
from statemachine.discovery.reconciler import Reconciler
from statemachine.discovery.source_state import SourceRules
from statemachine.discovery.store import read_targets
from statemachine.discovery.target import address_key
from statemachine.journal.private import DataFolderError
from statemachine.settings import ServerConfig, Settings, resolve_servers
from statemachine.settings.expand import MAX_SERVERS


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
