"""The discovery over sources that the test controls, in virtual time: what is applied, recorded and stored."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest

from statemachine.core.messages import Message, message
from statemachine.core.ports import Clock
from statemachine.core.vocabulary import Notice
from statemachine.discovery.registration import Registrations
from statemachine.discovery.service import Discovery
from statemachine.discovery.source import (
    Followed,
    NameTakenError,
    NoPlaceError,
    NoRegistrationError,
    PolledSource,
    Report,
    SourceError,
    TargetSource,
)
from statemachine.discovery.store import KnownTargets
from statemachine.discovery.target import Listing, Refusal, Target
from statemachine.i18n.render import render
from statemachine.settings import Settings, resolve_servers
from statemachine.settings.discovery import RegisterSource, Source
from tests.discovery.samples import target, targets, with_sources

pytestmark = pytest.mark.looptime
FILE = {"kind": "file", "path": "unused.json", "grace_s": 100}


class ManualSource:
    """Reports what the test passes to `answers`; an exception is raised."""

    def __init__(self) -> None:
        self.answers = asyncio.Queue[Listing | Exception]()
        self.is_watched = False

    async def run(self, report: Report) -> None:
        while True:
            answer = await self.answers.get()
            if isinstance(answer, Exception):
                raise answer
            report(answer)

    async def changed(self) -> None:
        while self.answers.empty() or not self.is_watched:  # noqa: ASYNC110 - virtual time
            await asyncio.sleep(0.1)

    def answer(self, *found: Target, refusals: tuple[Refusal, ...] = ()) -> None:
        self.answers.put_nowait(Listing(found, refusals))

    def fail(self) -> None:
        self.answers.put_nowait(SourceError(message("source_status", status=500)))


class MemoryStore:
    """Keeps the targets in memory."""

    def __init__(self, known: KnownTargets | None = None) -> None:
        self.known = known or KnownTargets()

    async def load(self) -> KnownTargets:
        return self.known

    async def save(self, known: KnownTargets) -> None:
        self.known = known


class Rig:
    """A discovery, its sources by name, the names that were applied and the notices."""

    def __init__(self, known: KnownTargets | None = None) -> None:
        self.sources: dict[str, ManualSource] = {}
        self.applied: list[list[str]] = []
        self.notices: list[tuple[Notice, str]] = []
        self.store = MemoryStore(known)
        self.broken = 0
        self.takes_s = 0.0
        clock = Clock(now=lambda: 0.0, uniform=Random(1).random, new_id=lambda: "id")
        self.discovery = Discovery(self._new_source, self._notice, self.store, clock)

    def configure(self, settings: Settings) -> None:
        self.discovery.configure(settings, resolve_servers(settings))

    def _new_source(self, source: Source, _settings: Settings) -> TargetSource:
        if isinstance(source, RegisterSource):
            return Registrations(source.heartbeat_s)
        self.sources[source.name] = ManualSource()
        return self.sources[source.name]

    def _notice(self, notice: Notice, detail: Message) -> None:
        self.notices.append((notice, render(detail, "en")))

    async def apply(self) -> None:
        await asyncio.sleep(self.takes_s)
        if self.broken:
            self.broken -= 1
            raise OSError("the certificate cannot be read")
        self.applied.append([one.name for one in self.discovery.servers])

    def noticed(self, notice: Notice) -> list[str]:
        return [text for one, text in self.notices if one is notice]


@asynccontextmanager
async def running(rig: Rig, settings: Settings) -> AsyncIterator[Rig]:
    await rig.discovery.load()
    rig.configure(settings)
    task = asyncio.create_task(rig.discovery.run(rig.apply))
    try:
        await asyncio.sleep(1)
        yield rig
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_answers_are_applied_and_recorded() -> None:
    async with running(Rig(), with_sources({"name": "a", "group": "rented", **FILE})) as rig:
        rig.sources["a"].answer(*targets("gpu1:8188", "gpu2:8188"))
        await asyncio.sleep(5)
        rig.sources["a"].answer(*targets("gpu2:8188"))
        await asyncio.sleep(99)
        assert rig.applied == [["gpu1:8188", "gpu2:8188"]]
        await asyncio.sleep(5)
        assert rig.applied[1:] == [["gpu2:8188"]]
        assert rig.discovery.servers[0].group == "rented"
    assert rig.noticed(Notice.DISCOVERY_CHANGED) == [
        "servers added 2, removed 0, changed 0; added: gpu1:8188, gpu2:8188",
        "servers added 0, removed 1, changed 0; removed: gpu1:8188",
    ]


async def test_unchanged_servers_keep_their_configuration() -> None:
    async with running(Rig(), with_sources({"name": "a", **FILE})) as rig:
        rig.sources["a"].answer(*targets("gpu1:8188"))
        await asyncio.sleep(5)
        before = rig.discovery.servers[0]
        rig.sources["a"].answer(*targets("gpu2:8188", "gpu1:8188"))
        await asyncio.sleep(5)
        assert rig.discovery.servers[0] is before


async def test_labels_name_and_group_servers() -> None:
    source = {"name": "a", **FILE, "name_label": "id", "group_label": "pool"}
    async with running(Rig(), with_sources(source)) as rig:
        rig.sources["a"].answer(
            target("gpu1:8188", id="one", pool="big"), target("gpu2:8188"), target("gpu3:8188", id="a/b")
        )
        await asyncio.sleep(5)
        assert [(one.name, one.group) for one in rig.discovery.servers] == [("one", "big"), ("gpu2:8188", "default")]
    (refused,) = rig.noticed(Notice.DISCOVERY_REFUSED)
    assert refused.startswith('source a: gpu3:8188: label id is "a/b"; allowed: ')


async def test_failing_source_is_recorded_once_and_removes_nothing() -> None:
    async with running(Rig(), with_sources({"name": "a", **FILE})) as rig:
        rig.sources["a"].answer(*targets("gpu1:8188"))
        for _ in range(8):
            rig.sources["a"].fail()
        await asyncio.sleep(2000)
        assert rig.applied == [["gpu1:8188"]]
        rig.sources["a"].answer(*targets("gpu1:8188"))
        await asyncio.sleep(100)
    assert rig.noticed(Notice.DISCOVERY_FAILED) == ["source a: HTTP status 500; 200 is expected"]
    assert rig.noticed(Notice.DISCOVERY_RECOVERED) == ["source a answers"]


async def test_watched_source_that_fails_is_run_again_when_it_changes() -> None:
    async with running(Rig(), with_sources({"name": "a", **FILE})) as rig:
        source = rig.sources["a"]
        for _ in range(8):
            source.fail()
        await asyncio.sleep(2000)
        source.is_watched = True
        source.fail()
        await asyncio.sleep(2)
        source.answer(*targets("gpu1:8188"))
        await asyncio.sleep(1)
        assert rig.applied == [["gpu1:8188"]]


async def test_failing_source_is_asked_at_once_when_settings_are_reloaded() -> None:
    settings = with_sources({"name": "a", **FILE})
    async with running(Rig(), settings) as rig:
        for failures in range(1, 9):
            rig.sources["a"].fail()
            while rig.discovery.followed[0].failures < failures:  # noqa: ASYNC110 - virtual time
                await asyncio.sleep(0.1)
        rig.sources["a"].answer(*targets("gpu1:8188"))
        await asyncio.sleep(2)
        assert rig.applied == []
        rig.configure(settings)
        await asyncio.sleep(2)
        assert rig.applied == [["gpu1:8188"]]


async def test_pause_of_a_polled_source_ends_when_it_is_to_be_retried() -> None:
    async def never() -> tuple[Listing, float]:
        raise AssertionError

    (source,) = with_sources({"name": "a", **FILE}).discovery
    followed, loop = Followed(source, PolledSource(never)), asyncio.get_running_loop()
    began = loop.time()
    pausing = asyncio.create_task(followed.pause(60))
    await asyncio.sleep(1)
    followed.retry()
    followed.retry()
    await pausing
    assert loop.time() - began == pytest.approx(1)
    followed.retry()
    await followed.pause(5)
    assert loop.time() - began == pytest.approx(6)


async def test_recovery_is_recorded_for_each_source() -> None:
    async with running(Rig(), with_sources({"name": "a", **FILE}, {"name": "b", **FILE})) as rig:
        for _ in range(4):
            rig.sources["a"].fail()
            rig.sources["b"].fail()
        await asyncio.sleep(100)
        rig.sources["a"].answer()
        await asyncio.sleep(10)
        assert rig.noticed(Notice.DISCOVERY_RECOVERED) == ["source a answers; without an answer: b"]
        rig.sources["b"].answer()
        await asyncio.sleep(100)
    assert rig.noticed(Notice.DISCOVERY_RECOVERED)[1:] == ["source b answers"]


@pytest.mark.parametrize("change", ["removed", "changed"])
async def test_failure_of_a_source_that_the_settings_change_is_over(change: str) -> None:
    async with running(Rig(), with_sources({"name": "a", **FILE}, {"name": "b", **FILE})) as rig:
        for _ in range(4):
            rig.sources["a"].fail()
        await asyncio.sleep(100)
        assert len(rig.noticed(Notice.DISCOVERY_FAILED)) == 1
        others = [] if change == "removed" else [{"name": "a", **FILE, "path": "other.json"}]
        rig.configure(with_sources(*others, {"name": "b", **FILE}))
        rig.sources["a"].answer()
        await asyncio.sleep(100)
    said = "is no longer in the settings" if change == "removed" else "answers"
    assert rig.noticed(Notice.DISCOVERY_RECOVERED) == [f"source a {said}"]


@pytest.mark.parametrize("failures", [1, 2, 3])
async def test_vanished_server_is_removed_though_its_source_failed_then(failures: int) -> None:
    """Nothing else changes, so that only the source's next answer can show that the server is due."""
    async with running(Rig(), with_sources({"name": "a", **FILE})) as rig:
        source = rig.sources["a"]
        source.answer(*targets("gpu1:8188", "gpu2:8188"))
        await asyncio.sleep(5)
        source.answer(*targets("gpu1:8188"))
        await asyncio.sleep(97)
        for _ in range(failures):
            source.fail()
        await asyncio.sleep(60)
        source.answer(*targets("gpu1:8188"))
        await asyncio.sleep(300)
        assert rig.applied[-1] == ["gpu1:8188"]


async def test_empty_answer_is_recorded_and_removes_a_share() -> None:
    async with running(Rig(), with_sources({"name": "a", **FILE})) as rig:
        found = [target(f"gpu{i}:8188") for i in range(10)]
        rig.sources["a"].answer(*found)
        await asyncio.sleep(5)
        rig.sources["a"].answer()
        await asyncio.sleep(120)
        assert len(rig.applied[-1]) == 8
        rig.sources["a"].answer(*found)
        await asyncio.sleep(500)
        assert len(rig.applied) == 3, "those that returned stay, those that had gone came again"
    assert rig.noticed(Notice.DISCOVERY_HELD) == [
        "source a: 10 of 10 servers are missing; at most 2 are removed within 100 s"
    ]


async def test_refused_targets_are_recorded_once() -> None:
    refusal = Refusal("[0].targets[0]", message("target_not_text"))
    async with running(Rig(), with_sources({"name": "a", **FILE})) as rig:
        for _ in range(3):
            rig.sources["a"].answer(*targets("gpu1:8188"), refusals=(refusal,))
            await asyncio.sleep(5)
        assert rig.applied == [["gpu1:8188"]]
    assert rig.noticed(Notice.DISCOVERY_REFUSED) == ["source a: [0].targets[0]: not a text such as host:port"]


async def test_server_of_the_settings_is_not_discovered_again() -> None:
    settings = with_sources({"name": "a", **FILE}, servers=["http://gpu1:8188"])
    async with running(Rig(), settings) as rig:
        rig.sources["a"].answer(*targets("gpu1:8188", "gpu2:8188"))
        await asyncio.sleep(5)
        assert rig.applied == [["gpu2:8188"]]


async def test_last_known_servers_are_there_while_the_source_is_down() -> None:
    rig = Rig(KnownTargets({"a": targets("gpu1:8188"), "gone": targets("gpu9:8188")}))
    async with running(rig, with_sources({"name": "a", **FILE})):
        assert [one.name for one in rig.discovery.servers] == ["gpu1:8188"]
        rig.sources["a"].answer(*targets("gpu1:8188", "gpu2:8188"))
        await asyncio.sleep(30)
    assert rig.store.known.targets == {"a": targets("gpu1:8188", "gpu2:8188")}


async def test_servers_that_cannot_be_applied_are_tried_again() -> None:
    rig = Rig()
    rig.broken = 2
    async with running(rig, with_sources({"name": "a", **FILE})):
        rig.sources["a"].answer(*targets("gpu1:8188"))
        await asyncio.sleep(60)
    assert rig.applied == [["gpu1:8188"]]


async def test_new_settings_keep_the_sources_that_do_not_change() -> None:
    async with running(Rig(), with_sources({"name": "a", **FILE}, {"name": "b", **FILE})) as rig:
        kept = rig.sources["a"]
        rig.sources["a"].answer(*targets("gpu1:8188"))
        rig.sources["b"].answer(*targets("gpu2:8188"))
        await asyncio.sleep(5)
        rig.configure(with_sources({"name": "a", **FILE}, {"name": "c", **FILE, "path": "other.json"}))
        assert rig.sources["a"] is kept
        assert [one.name for one in rig.discovery.servers] == ["gpu1:8188"]
        rig.sources["c"].answer(*targets("gpu3:8188"))
        await asyncio.sleep(5)
        assert rig.applied[-1] == ["gpu1:8188", "gpu3:8188"]


async def test_reload_records_what_sources_have_changed_as_theirs() -> None:
    settings = with_sources({"name": "a", **FILE})
    async with running(Rig(), settings) as rig:
        rig.sources["a"].answer(*targets("gpu1:8188"))
        await asyncio.sleep(0)
        with rig.discovery.reconfiguring():
            rig.configure(settings)
        await asyncio.sleep(5)
        assert rig.noticed(Notice.DISCOVERY_CHANGED) == ["servers added 1, removed 0, changed 0; added: gpu1:8188"]
        assert rig.applied == []


def refused_reload(rig: Rig, settings: Settings) -> None:
    with rig.discovery.reconfiguring():
        rig.configure(settings)
        raise OSError("unreadable")


async def test_refused_reload_leaves_changes_of_sources_to_be_applied() -> None:
    settings = with_sources({"name": "a", **FILE})
    async with running(Rig(), settings) as rig:
        rig.sources["a"].answer(*targets("gpu1:8188"))
        await asyncio.sleep(0)
        with pytest.raises(OSError, match="unreadable"):
            refused_reload(rig, settings)
        await asyncio.sleep(5)
        assert rig.noticed(Notice.DISCOVERY_CHANGED) == ["servers added 1, removed 0, changed 0; added: gpu1:8188"]
        assert rig.applied == [["gpu1:8188"]]


async def test_changed_source_keeps_its_servers_until_it_answers() -> None:
    async with running(Rig(), with_sources({"name": "a", **FILE})) as rig:
        rig.sources["a"].answer(*targets("gpu1:8188"))
        await asyncio.sleep(5)
        rig.configure(with_sources({"name": "a", **FILE, "path": "other.json", "group": "new"}))
        assert [(one.name, one.group) for one in rig.discovery.servers] == [("gpu1:8188", "new")]


async def test_renamed_source_keeps_its_servers() -> None:
    async with running(Rig(), with_sources({"name": "a", **FILE})) as rig:
        rig.sources["a"].answer(*targets("gpu1:8188"))
        await asyncio.sleep(5)
        before = rig.discovery.servers
        rig.configure(with_sources({"name": "rented", **FILE}))
        assert rig.discovery.servers is before
        await asyncio.sleep(5)
        assert (len(rig.applied), rig.discovery.counts("rented").servers) == (1, 1)


async def test_notices_about_refusals_that_change_constantly_are_bounded() -> None:
    """Two kinds of refusals alternate with each answer, with another text each time."""
    async with running(Rig(), with_sources({"name": "a", **FILE})) as rig:
        for round_ in range(600):
            code = "target_not_text" if round_ % 2 else "target_group"
            refusal = Refusal(f"[{round_}]", message(code))
            rig.sources["a"].answer(*targets("gpu1:8188"), refusals=(refusal,))
            await asyncio.sleep(1)
        assert rig.applied == [["gpu1:8188"]]
    assert 2 <= len(rig.noticed(Notice.DISCOVERY_REFUSED)) <= 11


async def test_new_reason_is_recorded_after_the_pause_without_another_answer() -> None:
    async with running(Rig(), with_sources({"name": "a", **FILE})) as rig:
        for code in ("target_not_text", "target_group"):
            rig.sources["a"].answer(refusals=(Refusal("[0]", message(code)),))
            await asyncio.sleep(2)
        assert len(rig.noticed(Notice.DISCOVERY_REFUSED)) == 1
        await asyncio.sleep(60)
        assert len(rig.noticed(Notice.DISCOVERY_REFUSED)) == 2


async def test_source_that_flaps_is_recorded_as_held_once_within_its_window() -> None:
    found = [target(f"gpu{i}:8188") for i in range(10)]
    async with running(Rig(), with_sources({"name": "a", **FILE})) as rig:
        for _ in range(45):
            rig.sources["a"].answer(*found)
            await asyncio.sleep(1)
            rig.sources["a"].answer()
            await asyncio.sleep(1)
    assert len(rig.noticed(Notice.DISCOVERY_HELD)) == 1


async def test_slow_change_delays_the_next_one_a_little() -> None:
    rig = Rig()
    rig.takes_s = 30.0
    async with running(rig, with_sources({"name": "a", **FILE})):
        rig.sources["a"].answer(*targets("gpu1:8188"))
        await asyncio.sleep(31)
        rig.sources["a"].answer(*targets("gpu1:8188", "gpu2:8188"))
        rig.takes_s = 0.0
        await asyncio.sleep(6)
        assert rig.applied[-1] == ["gpu1:8188", "gpu2:8188"]


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_headers_are_not_sent_to_a_weaker_scheme(scheme: str) -> None:
    """Neither where the settings want https, nor at an address that was reached by https."""
    headers = {"headers": {"Authorization": "Bearer geheim"}, "scheme": scheme}
    async with running(Rig(), with_sources({"name": "a", **FILE, **headers})) as rig:
        rig.sources["a"].answer(*targets("https://gpu1:8188"))
        await asyncio.sleep(5)
        rig.sources["a"].answer(*targets("http://gpu1:8188", "https://gpu2:8188"))
        await asyncio.sleep(5)
        assert [one.url for one in rig.discovery.servers] == ["https://gpu1:8188", "https://gpu2:8188"]
    assert rig.noticed(Notice.DISCOVERY_REFUSED) == [
        "source a: gpu1:8188: http; the headers of the source are only sent over https there"
    ]


async def test_registration_says_why_a_server_is_not_in_the_fleet() -> None:
    source = {"kind": "register", "name": "nodes", "name_label": "id", "max_servers": 2}
    async with running(Rig(), with_sources(source)) as rig:
        rig.discovery.register(target("gpu1:8188", id="one"))
        await asyncio.sleep(5)
        with pytest.raises(NameTakenError):
            rig.discovery.register(target("gpu2:8188", id="one"))
        rig.discovery.register(target("gpu2:8188", id="two"))
        await asyncio.sleep(5)
        with pytest.raises(NoPlaceError):
            rig.discovery.register(target("gpu3:8188", id="three"))
        assert rig.discovery.register(target("gpu2:8188", id="two")) > 0


async def test_registered_servers_join_and_leave() -> None:
    source = {"kind": "register", "name": "nodes", "heartbeat_s": 10, "grace_s": 60}
    async with running(Rig(), with_sources(source)) as rig:
        assert rig.discovery.register(target("gpu1:8188")) == 10
        await asyncio.sleep(5)
        assert rig.applied == [["gpu1:8188"]]
        await asyncio.sleep(10 * 3 + 60 + 5)
        assert rig.applied[-1] == []


async def test_registration_needs_a_source() -> None:
    async with running(Rig(), with_sources({"name": "a", **FILE})) as rig:
        with pytest.raises(NoRegistrationError):
            rig.discovery.register(target("gpu1:8188"))


async def test_stopped_discovery_leaves_no_task() -> None:
    before = len(asyncio.all_tasks())
    async with running(Rig(), with_sources({"name": "a", **FILE})) as rig:
        rig.sources["a"].answer(*targets("gpu1:8188"))
        await asyncio.sleep(5)
    assert len(asyncio.all_tasks()) == before
