"""What a single alert rule cannot show: names that nothing has, and one name for two rules."""

from collections.abc import Iterable, Iterator

from statemachine.settings.explain import Written
from statemachine.settings.model import Settings
from statemachine.settings.problems import Problem


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
