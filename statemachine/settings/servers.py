"""From entries, which may stand for a rack each, to one complete configuration a server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pydantic import SecretStr

from statemachine.settings.expand import ServerUrl
from statemachine.settings.model import CacheCheckSettings, ServerEntry, Settings
from statemachine.settings.tls import Tls


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """All that the settings say about one server. `url` has no trailing slash; `host` has no port."""

    name: str
    url: str
    group: str
    host: str
    workflows: tuple[str, ...]
    cache_check: CacheCheckSettings
    headers: Mapping[str, SecretStr] = field(hash=False)
    tls: Tls


def resolve_servers(settings: Settings) -> tuple[ServerConfig, ...]:
    """Every server of the fleet, in the order of the file, ranges expanded."""
    return tuple(_server_config(settings, entry, address) for entry in settings.servers for address in entry.addresses)


def _server_config(settings: Settings, entry: ServerEntry, address: ServerUrl) -> ServerConfig:
    return ServerConfig(
        name=entry.name or address.host_and_port,
        url=address.url,
        group=entry.group,
        host=address.host,
        workflows=entry.workflows or settings.workflows,
        cache_check=_cache_check(settings.cache_check, entry.cache_check),
        headers=MappingProxyType(entry.headers),
        tls=entry.tls or settings.tls,
    )


def _cache_check(common: CacheCheckSettings, own: CacheCheckSettings | None) -> CacheCheckSettings:
    """The entry's own check; what it leaves out comes from the common one."""
    if own is None:
        return common
    return common.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})
