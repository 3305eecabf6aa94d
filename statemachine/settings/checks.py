"""Rules that involve several settings, and the certificate files that the settings name."""

import ssl
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from statemachine.core.messages import NO_MESSAGE, Message, Param, message, verbatim
from statemachine.settings.discovery import check_sources
from statemachine.settings.expand import check_count, count_servers
from statemachine.settings.files import read_limited, require_regular, wide_encoding
from statemachine.settings.model import Settings
from statemachine.settings.problems import KeyPath, NotAllowedError, Problem, describe, os_error_text
from statemachine.settings.restarts import hookless
from statemachine.settings.source import SettingsSource
from statemachine.settings.tls import MAX_BYTES, ListenTls, page_context

_CERTIFICATES = message("settings.certificates")
_KEY = message("settings.certificate_key")
_ONCE = {"url": message("settings.distinct_urls"), "name": message("settings.distinct_server_names")}


def without_servers(source: SettingsSource) -> Iterator[Problem]:
    """Yield the problem of a file that has neither servers nor a source of them."""
    data = source.data
    if not isinstance(data, Mapping) or data.get("discovery"):
        return
    if "servers" not in data:
        yield Problem("servers", message("settings.missing_key"), message("settings.add_key"))
    elif data["servers"] == []:
        yield source.problem(("servers",), message("settings.some_server"))


def check_discovery(settings: Settings, source: SettingsSource) -> list[Problem]:
    """Check that there is any server or source, and that the sources fit together."""
    return [*without_servers(source), *check_sources(settings.discovery, source)]


def check_fleet(settings: Settings, source: SettingsSource) -> list[Problem]:
    """Check the number of servers, then their names and URLs. Expands no range before the number is known."""
    counts = [count_servers(entry.url) for entry in settings.servers]
    try:
        check_count(sum(counts))
    except NotAllowedError as error:
        found = message("settings.servers_in_all", count=sum(counts))
        return [source.problem(("servers",), error.message, found=found)]
    return (
        list(_names_for_many(settings, source, counts))
        or list(_repeated("url", _urls(settings), source))
        or list(_repeated("name", _names(settings), source))
    )


def check_alerts(settings: Settings, source: SettingsSource) -> list[Problem]:
    """Check that the rules' names are unique and that their channels and groups exist."""
    groups, channels = _groups(settings), settings.alerts.channels
    problems = list(_repeated_rules(settings, source))
    for place, rule in enumerate(settings.alerts.rules):
        path = ("alerts", "rules", place)
        problems += _unknown(rule.to, channels, source, (*path, "to"), "settings.known_channels")
        problems += _unknown(rule.groups, groups or rule.groups, source, (*path, "groups"), "settings.known_groups")
    return problems


def check_maintenance(settings: Settings, source: SettingsSource) -> list[Problem]:
    """Check that the windows' names are unique and that their groups exist."""
    groups, names = _groups(settings), [one.name for one in settings.maintenance]
    problems = list[Problem]()
    for place, window in enumerate(settings.maintenance):
        path = ("maintenance", place)
        if window.name in names[:place]:
            problems.append(source.problem((*path, "name"), message("settings.distinct_windows")))
        known = groups or window.groups
        problems += _unknown(window.groups, known, source, (*path, "groups"), "settings.known_groups")
    return problems


def check_restarts(settings: Settings, source: SettingsSource) -> list[Problem]:
    """Check that triggers have a hook, and that no secret would be an argument, which every process list shows."""
    lists = {"servers": settings.servers, "discovery": settings.discovery}
    own = [
        ((key, place, "restart"), one.restart) for key, entries in lists.items() for place, one in enumerate(entries)
    ]
    problems = [source.problem(path, message("settings.trigger_hook")) for path in hookless(settings.restart, own)]
    for path, section in [(("restart",), settings.restart), *own]:
        for number in range(len(section.command or ()) if section is not None else 0):
            place = (*path, "command", number)
            if source.is_secret(place):
                problems.append(source.problem(place, message("settings.argument_without_secret", variable="{NAME}")))
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


def _groups(settings: Settings) -> set[str]:
    """Return the groups of the fleet; none if labels name them, which only the sources know."""
    if any(one.group_label for one in settings.discovery):
        return set()
    return {one.group for one in (*settings.servers, *settings.discovery)}


def _names_for_many(settings: Settings, source: SettingsSource, counts: list[int]) -> Iterator[Problem]:
    for place, (entry, count) in enumerate(zip(settings.servers, counts, strict=True)):
        if entry.name is not None and count > 1:
            found = message("settings.name_for_many", count=count)
            yield source.problem(("servers", place, "name"), message("settings.name_for_one"), found=found)


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
            found = message("settings.duplicate_of", value=describe(value, secret=secret), place=earlier)
            yield source.problem(("servers", place, key), _ONCE[key], found=found)


def _repeated_rules(settings: Settings, source: SettingsSource) -> Iterator[Problem]:
    seen: set[str] = set()
    for place, rule in enumerate(settings.alerts.rules):
        if rule.name in seen:
            yield source.problem(("alerts", "rules", place, "name"), message("settings.distinct_rules"))
        seen.add(rule.name)


def _unknown(
    names: Iterable[str], known: Iterable[str], source: SettingsSource, path: KeyPath, code: str
) -> Iterator[Problem]:
    listed: Param = sorted(known) or message("settings.none_defined")
    for place, name in enumerate(names):
        if name not in known:
            yield source.problem((*path, place), Message(code, {"names": listed}))


def _certificate_files(settings: Settings) -> Iterator[tuple[KeyPath, Path]]:
    if settings.listen.tls is not None:
        yield ("listen", "tls", "certificate"), settings.listen.tls.certificate
    if settings.tls.ca_file is not None:
        yield ("tls", "ca_file"), settings.tls.ca_file
    for place, entry in enumerate(settings.servers):
        if entry.tls is not None and entry.tls.ca_file is not None:
            yield ("servers", place, "tls", "ca_file"), entry.tls.ca_file
    for place, one in enumerate(settings.discovery):
        if one.tls is not None and one.tls.ca_file is not None:
            yield ("discovery", place, "tls", "ca_file"), one.tls.ca_file


def _certificates_fault(certificates: Path) -> Message:
    """Return why the file's certificates cannot be used, or NO_MESSAGE."""
    try:
        require_regular(certificates)
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(certificates)
    except OSError as error:
        return _tls_fault(error, certificates)
    return NO_MESSAGE


def _pair_fault(tls: ListenTls) -> Message:
    try:
        page_context(tls)
    except OSError as error:
        return _tls_fault(error, tls.key)
    return NO_MESSAGE


def _tls_fault(error: OSError, file: Path) -> Message:
    """Return the file's encoding if that is the fault, else OpenSSL's reason.

    The reason is in capitals, or empty if the file is not a PEM file of that kind.
    """
    if not isinstance(error, ssl.SSLError):
        return verbatim(os_error_text(error).lower())
    if encoding := wide_encoding(read_limited(file, MAX_BYTES)):
        return encoding
    return verbatim(error.reason.replace("_", " ").lower()) if error.reason else message("settings.not_pem")


def _file_problem(source: SettingsSource, key: KeyPath, path: Path, cause: Message, allowed: Message) -> Problem:
    shown = describe(str(path), secret=source.is_secret(key))
    return source.problem(key, allowed, found=message("settings.file_fault", path=shown, cause=cause))
