"""Which settings a reload changes at once: what the notice says is what the running daemon does."""

import asyncio
import gc
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from statemachine.daemon.app import running_daemon
from statemachine.daemon.config import AT_START_ONLY, CHANGEABLE, in_effect, load_config, waiting_for_restart
from statemachine.settings import Settings, parse_settings
from statemachine.settings.problems import dotted
from statemachine.settings.values import Section
from statemachine.simulator import PROFILES, running_fleet
from tests.alerts.listeners import listening
from tests.support.daemon import COMMON, DaemonClient, Json
from tests.support.paths import DOCS

BASE = parse_settings({**COMMON, "servers": ["http://127.0.0.1:8188"]}, Path("/"), {})
CHANGED = object()
Path_ = tuple[str, ...]


def leaves(section: Section, path: Path_ = ()) -> Iterator[Path_]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name)


def with_change(section: Section, path: Path_, value: object) -> Any:
    """Return the section with another value, which need not be a valid one, at a path."""
    name, *rest = path
    return section.model_copy(update={name: with_change(getattr(section, name), (*rest,), value) if rest else value})


def value_at(settings: Settings, path: Path_) -> object:
    value: object = settings
    for name in path:
        value = getattr(value, name)
    return value


@pytest.mark.parametrize("path", [*leaves(BASE)], ids=dotted)
def test_setting_applies_at_once_or_is_named_as_waiting(path: Path_) -> None:
    fresh = with_change(BASE, path, CHANGED)
    waits = path[0] in AT_START_ONLY and path not in CHANGEABLE
    assert waiting_for_restart(BASE, fresh) == ([dotted(path)] if waits else [])
    assert (value_at(in_effect(BASE, fresh), path) is CHANGED) is not waits


def test_settings_page_names_the_same_settings() -> None:
    text = " ".join((DOCS / "settings.md").read_text(encoding="utf-8").split())
    named = text.split("applies changes at once, except changes to ")[1].split("which take effect after a restart")[0]
    assert sorted(word.strip("`,") for word in named.split() if "`" in word) == sorted(AT_START_ONLY)
    assert all(f"`{dotted(path)}` is applied at once" in text for path in CHANGEABLE)


# Values that occur nowhere else in the process: before the reload, and after it.
UNIQUE: dict[tuple[str, str], tuple[Any, Any]] = {
    **{
        ("timing", name): (before + 0.0625, before + 0.1875)
        for before, name in enumerate(
            (
                "check_interval_s",
                "node_check_interval_s",
                "auto_recheck_s",
                "http_timeout_s",
                "busy_wait_s",
                "warm_timeout_s",
                "retry_s",
                "failed_retry_s",
                "lost_grace_s",
                "link_stable_s",
                "link_backoff_max_s",
            ),
            start=41,
        )
    },
    ("limits", "max_warming"): (7_321, 7_423),
    ("limits", "max_warming_per_host"): (731, 733),
    ("limits", "max_checks"): (8_321, 8_423),
    ("journal", "max_age_days"): (2_951, 2_952),
    ("journal", "max_transitions"): (60_000_123, 60_000_124),
    ("alerts", "gather_s"): (71.0625, 71.1875),
    ("alerts", "max_messages"): (877, 893),
    ("alerts", "window_s"): (73.0625, 73.1875),
    ("listen", "public_url"): ("https://before.example", "https://after.example"),
    ("traffic", "agent_host"): ("127.0.0.6", "127.0.0.7"),
    ("listen", "host"): ("127.0.0.8", "127.0.0.9"),
    ("logging", "rotation"): ("411 MB", "412 MB"),
}


def data_with(servers: list[str], side: int) -> Json:
    data: Json = {**COMMON, "servers": servers, "listen": {"port": 0, "token": "let-me-in-please"}}
    for (section, name), values in UNIQUE.items():
        data[section] = {**data.get(section, {}), name: values[side]}
    return data


RUNNING = (types.CoroutineType, types.AsyncGeneratorType, types.FrameType, asyncio.Task, asyncio.Handle)
"""What is under way ends under the old settings."""


def reachable_values(root: object, ignored: object) -> set[object]:
    """Return the numbers and texts that an object leads to, without code, types, running frames and one object."""
    seen, found, waiting = {id(ignored)}, set[object](), [root]
    while waiting:
        one = waiting.pop()
        if isinstance(one, int | float | str | Path):
            found.add(str(one) if isinstance(one, Path) else one)
        elif id(one) not in seen and not isinstance(one, type | types.ModuleType | types.CodeType):
            seen.add(id(one))
            waiting += _referents(one)
    return found


def _referents(one: object) -> list[Any]:
    if isinstance(one, types.FunctionType):
        return [cell.cell_contents for cell in one.__closure__ or ()] + [one.__defaults__, one.__kwdefaults__]
    is_running = isinstance(one, RUNNING)
    return [] if is_running else gc.get_referents(one)


async def test_reloaded_daemon_holds_only_the_settings_in_effect(tmp_path: Path) -> None:
    """No object has kept an old number or text, and none has received one that waits for the next start."""
    async with running_fleet([PROFILES["loaded"]]) as fleet:
        before, after = (parse_settings(data_with(fleet.urls, side), tmp_path, {}) for side in (0, 1))
        async with running_daemon(before) as daemon:
            await daemon.apply(load_config(after))
            found = reachable_values(daemon, before)
    at_once = {path: values for path, values in UNIQUE.items() if not _waits(path)}
    kept = {path for path, (old, _) in at_once.items() if old in found}
    missed = {path for path, (_, new) in at_once.items() if new not in found}
    early = {path for path, (_, new) in UNIQUE.items() if _waits(path) and new in found}
    assert (kept, missed, early) == (set(), set(), set())


def _waits(path: Path_) -> bool:
    return path[0] in AT_START_ONLY and path not in CHANGEABLE


async def test_shorter_limit_applies_to_a_wait_that_is_under_way(tmp_path: Path) -> None:
    """A cold server with a busy queue is warmed once the limit of its wait is reduced."""
    async with running_fleet([PROFILES["cold"]], scale=0.01) as fleet, aiohttp.ClientSession() as session:
        fleet.servers[0].start_foreign_job(100_000.0)
        common = {**COMMON, "servers": fleet.urls}
        patient, hasty = (
            parse_settings({**common, "timing": {"auto_recheck_s": 0.05, "busy_wait_s": limit_s}}, tmp_path, {})
            for limit_s in (86_400, 0)
        )
        async with running_daemon(patient) as daemon:
            client = DaemonClient(daemon.address, session)
            name = fleet.members[0].name
            await client.wait_for_detail(name, lambda one: one["waiting_for_code"] == "wait.busy_queue")
            await daemon.apply(load_config(hasty))
            await client.wait_for_state(name, "warming")


async def test_public_url_of_a_reload_is_in_the_next_alert(tmp_path: Path) -> None:
    async with running_fleet([PROFILES["loaded"]]) as fleet, listening() as hook:
        alerts = {
            "gather_s": 0,
            "rules": [{"name": "down", "states": ["unreachable"], "for_s": 0, "to": ["hook"]}],
            "channels": {"hook": {"webhook": hook.url, "secret": "a secret of sixteen"}},
        }
        common = {
            **COMMON,
            "servers": fleet.urls,
            "alerts": alerts,
            "timing": {"retry_s": 0.1, "check_interval_s": 0.2},
        }
        before, after = (
            parse_settings({**common, "listen": {"port": 0, "public_url": url}}, tmp_path, {})
            for url in ("https://before.example", "https://after.example/warm")
        )
        async with running_daemon(before) as daemon, aiohttp.ClientSession() as session:
            await DaemonClient(daemon.address, session).wait_for_states({"loaded": 1})
            await daemon.apply(load_config(after))
            await fleet.servers[0].go_down()
            (alert,) = await hook.until(1)
    assert str(alert.data["link"]).startswith("https://after.example/warm/status#server=")
