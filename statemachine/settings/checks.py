"""Rules that involve several settings, and the certificate files that the settings name."""

import ssl
from collections.abc import Iterable, Iterator
from pathlib import Path

from statemachine.settings.expand import check_count, count_servers
from statemachine.settings.model import Settings
from statemachine.settings.problems import KeyPath, Problem, describe, os_error_text
from statemachine.settings.source import SettingsSource
from statemachine.settings.tls import ListenTls, page_context

_CERTIFICATES = "a PEM file with certificates, readable by comfywarm's user"
_KEY = "the PEM file with the key of listen.tls.certificate, without a passphrase, readable by comfywarm's user"


def check_fleet(settings: Settings, source: SettingsSource) -> list[Problem]:
    """Check the number of servers, then their names and URLs. Expands no range before the number is known."""
    counts = [count_servers(entry.url) for entry in settings.servers]
    try:
        check_count(sum(counts))
    except ValueError as error:
        return [source.problem(("servers",), str(error), found=f"{sum(counts)} servers")]
    return (
        list(_names_for_many(settings, source, counts))
        or list(_repeated("url", _urls(settings), source))
        or list(_repeated("name", _names(settings), source))
    )


def check_alerts(settings: Settings, source: SettingsSource) -> list[Problem]:
    """Check that the rules' names are unique and that their channels and groups exist."""
    groups = {entry.group for entry in settings.servers}
    channels = settings.alerts.channels
    problems = list(_repeated_rules(settings, source))
    for place, rule in enumerate(settings.alerts.rules):
        path = ("alerts", "rules", place)
        problems += _unknown(rule.to, channels, source, (*path, "to"), "a key of alerts.channels")
        problems += _unknown(rule.groups, groups, source, (*path, "groups"), "a group of servers")
    return problems


def check_certificates(settings: Settings, source: SettingsSource) -> list[Problem]:
    """Check the certificate files at the absolute paths in `settings`.

    Problems never quote a file, which may hold a key.
    """
    causes = {path: _certificates_fault(path) for _, path in _certificate_files(settings)}
    problems = [
        _file_problem(source, key, path, cause, _CERTIFICATES)
        for key, path in _certificate_files(settings)
        if (cause := causes[path])
    ]
    tls = settings.listen.tls
    if tls is not None and not causes[tls.certificate] and (cause := _pair_fault(tls)):
        problems.append(_file_problem(source, ("listen", "tls", "key"), tls.key, cause, _KEY))
    return problems


def _names_for_many(settings: Settings, source: SettingsSource, counts: list[int]) -> Iterator[Problem]:
    for place, (entry, count) in enumerate(zip(settings.servers, counts, strict=True)):
        if entry.name is not None and count > 1:
            found = f"one name for the {count} servers of its url"
            yield source.problem(("servers", place, "name"), "a name only if the url is one server's", found=found)


def _urls(settings: Settings) -> Iterator[tuple[int, str]]:
    for place, entry in enumerate(settings.servers):
        yield from ((place, address.url) for address in entry.addresses)


def _names(settings: Settings) -> Iterator[tuple[int, str]]:
    for place, entry in enumerate(settings.servers):
        yield from ((place, entry.name or address.host_and_port) for address in entry.addresses)


def _repeated(key: str, values: Iterable[tuple[int, str]], source: SettingsSource) -> Iterator[Problem]:
    """Yield one problem for each pair of entries that share values."""
    seen: dict[str, int] = {}
    reported: set[tuple[int, int]] = set()
    for place, value in values:
        earlier = seen.get(value)
        seen.setdefault(value, place)
        if earlier is not None and (earlier, place) not in reported:
            reported.add((earlier, place))
            secret = any(source.is_secret(("servers", place, part)) for part in ("url", "name"))
            found = f"{describe(value, secret=secret)}, which servers[{earlier}] also has"
            yield source.problem(("servers", place, key), f"each {key} only once", found=found)


def _repeated_rules(settings: Settings, source: SettingsSource) -> Iterator[Problem]:
    seen: set[str] = set()
    for place, rule in enumerate(settings.alerts.rules):
        if rule.name in seen:
            yield source.problem(("alerts", "rules", place, "name"), "each rule's name only once")
        seen.add(rule.name)


def _unknown(
    names: Iterable[str], known: Iterable[str], source: SettingsSource, path: KeyPath, what: str
) -> Iterator[Problem]:
    listed = ", ".join(sorted(known)) or "none defined"
    for place, name in enumerate(names):
        if name not in known:
            yield source.problem((*path, place), f"{what}: {listed}")


def _certificate_files(settings: Settings) -> Iterator[tuple[KeyPath, Path]]:
    if settings.listen.tls is not None:
        yield ("listen", "tls", "certificate"), settings.listen.tls.certificate
    if settings.tls.ca_file is not None:
        yield ("tls", "ca_file"), settings.tls.ca_file
    for place, entry in enumerate(settings.servers):
        if entry.tls is not None and entry.tls.ca_file is not None:
            yield ("servers", place, "tls", "ca_file"), entry.tls.ca_file


def _certificates_fault(certificates: Path) -> str:
    """Return why the file's certificates cannot be used, or an empty text."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(certificates)
    except OSError as error:
        return _tls_error_text(error)
    return ""


def _pair_fault(tls: ListenTls) -> str:
    try:
        page_context(tls)
    except OSError as error:
        return _tls_error_text(error)
    return ""


def _tls_error_text(error: OSError) -> str:
    """Return OpenSSL's reason, which is in capitals, or empty if the file is not a PEM file of that kind."""
    if not isinstance(error, ssl.SSLError):
        return os_error_text(error).lower()
    return error.reason.replace("_", " ").lower() if error.reason else "not readable as PEM"


def _file_problem(source: SettingsSource, key: KeyPath, path: Path, cause: str, allowed: str) -> Problem:
    shown = describe(str(path), secret=source.is_secret(key))
    return source.problem(key, allowed, found=f"{shown} ({cause})")
