"""What no single value can show: too many servers, one name for many, a server or a name twice."""

from collections.abc import Iterable, Iterator

from statemachine.settings.expand import check_count, count_servers
from statemachine.settings.explain import Written
from statemachine.settings.model import Settings
from statemachine.settings.problems import Problem, describe


def check_fleet(settings: Settings, written: Written) -> list[Problem]:
    """Problems of the fleet as a whole; nothing is expanded before its size is known."""
    counts = [count_servers(entry.url) for entry in settings.servers]
    try:
        check_count(sum(counts))
    except ValueError as error:
        return [written.problem(("servers",), str(error), found=f"{sum(counts)} servers")]
    return (
        list(_names_for_many(settings, written, counts))
        or list(_repeated("url", _urls(settings), written))
        or list(_repeated("name", _names(settings), written))
    )


def _names_for_many(settings: Settings, written: Written, counts: list[int]) -> Iterator[Problem]:
    for place, (entry, count) in enumerate(zip(settings.servers, counts, strict=True)):
        if entry.name is not None and count > 1:
            found = f"one name for the {count} servers of its url"
            yield written.problem(("servers", place, "name"), "a name only where the url is one server's", found=found)


def _urls(settings: Settings) -> Iterator[tuple[int, str]]:
    for place, entry in enumerate(settings.servers):
        yield from ((place, address.url) for address in entry.addresses)


def _names(settings: Settings) -> Iterator[tuple[int, str]]:
    for place, entry in enumerate(settings.servers):
        yield from ((place, entry.name or address.host_and_port) for address in entry.addresses)


def _repeated(key: str, values: Iterable[tuple[int, str]], written: Written) -> Iterator[Problem]:
    """One problem for a pair of entries, however much they overlap: it is one mistake."""
    seen: dict[str, int] = {}
    reported: set[tuple[int, int]] = set()
    for place, value in values:
        earlier = seen.get(value)
        seen.setdefault(value, place)
        if earlier is not None and (earlier, place) not in reported:
            reported.add((earlier, place))
            secret = any(written.is_secret(("servers", place, source)) for source in ("url", "name"))
            found = f"{describe(value, secret=secret)}, which servers[{earlier}] has too"
            yield written.problem(("servers", place, key), f"each {key} once", found=found)


def check_alerts(settings: Settings, written: Written) -> list[Problem]:
    """Problems of the alerts as a whole. A rule that nobody hears of, or that is about no server, is a slip."""
    groups = {entry.group for entry in settings.servers}
    channels = settings.alerts.channels
    problems = list(_repeated_names(settings, written))
    for place, rule in enumerate(settings.alerts.rules):
        path = ("alerts", "rules", place)
        problems += _unknown(rule.to, channels, written, (*path, "to"), "a key of alerts.channels")
        problems += _unknown(rule.groups, groups, written, (*path, "groups"), "a group that a server has")
    return problems


def _unknown(
    names: Iterable[str], known: Iterable[str], written: Written, path: tuple[str | int, ...], what: str
) -> Iterator[Problem]:
    listed = ", ".join(sorted(known)) or "there is none"
    for place, name in enumerate(names):
        if name not in known:
            yield written.problem((*path, place), f"{what}: {listed}")


def _repeated_names(settings: Settings, written: Written) -> Iterator[Problem]:
    seen: set[str] = set()
    for place, rule in enumerate(settings.alerts.rules):
        if rule.name in seen:
            yield written.problem(("alerts", "rules", place, "name"), "each rule's name once")
        seen.add(rule.name)
