"""Builds the source of a section of the settings."""

from typing import assert_never

from statemachine.discovery.file_source import FileTargets
from statemachine.discovery.http_source import HttpTargets
from statemachine.discovery.kubernetes_source import KubernetesTargets
from statemachine.discovery.registration import Registrations
from statemachine.discovery.source import TargetSource
from statemachine.settings import Settings
from statemachine.settings import discovery as kinds


def new_source(source: kinds.Source, settings: Settings) -> TargetSource:
    """Return the source of this section."""
    tls = source.tls or settings.tls
    match source:
        case kinds.FileSource():
            return FileTargets(source.path, source.scheme)
        case kinds.HttpSource():
            return HttpTargets(source, tls.ca_file)
        case kinds.DnsSource():
            from statemachine.discovery.dns_source import DnsTargets  # noqa: PLC0415 - most fleets ask no DNS

            return DnsTargets(source)
        case kinds.KubernetesSource():
            return KubernetesTargets(source)
        case kinds.RegisterSource():
            return Registrations(source.heartbeat_s)
        case _:
            assert_never(source)
