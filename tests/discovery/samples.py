"""Targets and settings of sources that several tests use."""

from collections.abc import Mapping

from statemachine.discovery.target import Target, parse_target
from statemachine.settings import Settings, parse_settings
from tests.settings.samples import BASE_DIR


def target(address: str, **labels: str) -> Target:
    return parse_target(address, "http", labels)


def targets(*addresses: str) -> tuple[Target, ...]:
    return tuple(target(address) for address in addresses)


def with_sources(*sources: Mapping[str, object], **keys: object) -> Settings:
    """Return settings with these sources and, unless `servers` says otherwise, no servers."""
    return parse_settings({"discovery": list(sources), **keys}, BASE_DIR, {})
