"""The watcher's frames, and the caches that it reads, over a fake ComfyUI."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from typing_extensions import override

from tests.node.conftest import FakeComfyUI
from tests.node.test_check_route import Flux, entry


class FakeTaggedCache:
    """Inspire-Pack's TaggedCache, with one mapping per tag. Using an entry would change the eviction order."""

    def __init__(self, *keys: object) -> None:
        self._data = {"ckpt": dict.fromkeys(keys[:1]), "model": dict.fromkeys(keys[1:])}

    def __getitem__(self, key: object) -> None:
        raise AssertionError("the node has used an entry")

    def items(self) -> None:
        raise AssertionError("the node has used every entry")


class ChangingCache(dict[str, None]):
    @override
    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("dictionary changed size during iteration")


def changes(comfyui: FakeComfyUI) -> list[tuple[str, list[str]]]:
    return [(frame["change"], frame["present"]) for frame in comfyui.frames]


@pytest.fixture
def watcher(comfyui: FakeComfyUI) -> Any:
    """A second watcher, which polls only when the test calls it."""
    comfyui.server.sent.clear()
    return comfyui.module("watcher").Watcher()


async def test_poll_sends_one_numbered_frame_per_change(comfyui: FakeComfyUI, watcher: Any) -> None:
    actions: list[Callable[[], None]] = [
        lambda: comfyui.store("b", "a"),
        lambda: comfyui.drop("b"),
        lambda: None,
        lambda: comfyui.drop("*"),
    ]
    for action in actions:
        action()
        watcher.poll()
    watcher.send("started")
    assert changes(comfyui) == [("loaded", ["a", "b"]), ("evicted", ["a"]), ("cleared", []), ("started", [])]
    assert [frame["sequence"] for frame in comfyui.frames] == [1, 2, 3, 4]
    assert {frame["instance"] for frame in comfyui.frames} == {watcher.instance}


async def test_first_poll_sends_no_frame_for_keys_already_cached(comfyui: FakeComfyUI) -> None:
    comfyui.store("a")
    watcher = comfyui.module("watcher").Watcher()
    watcher.poll()
    assert (watcher.sequence, watcher.keys) == (0, ["a"])


async def test_poll_reads_text_keys_of_inspire_without_using_entries(comfyui: FakeComfyUI, watcher: Any) -> None:
    module = comfyui.add_module("pack.inspire.backend_support", cache=FakeTaggedCache("a", "b", 5))
    comfyui.store("own")
    watcher.poll()
    vars(module)["cache"] = {"plain": 1}
    watcher.poll()
    assert changes(comfyui) == [("loaded", ["a", "b", "own"]), ("evicted", ["own", "plain"])]


async def test_poll_skips_cache_that_changes_during_iteration(comfyui: FakeComfyUI, watcher: Any) -> None:
    module = comfyui.add_module("pack.inspire.backend_support", cache={"a": 1})
    watcher.poll()
    vars(module)["cache"] = ChangingCache()
    watcher.poll()
    assert watcher.keys == ["a"]
    assert len(comfyui.frames) == 1


async def test_poll_treats_unknown_cache_type_as_empty_and_logs_once(
    comfyui: FakeComfyUI, watcher: Any, caplog: pytest.LogCaptureFixture
) -> None:
    comfyui.add_module("pack.inspire.backend_support", cache=object())
    comfyui.store("own")
    for _ in range(3):
        watcher.poll()
    assert watcher.keys == ["own"]
    assert caplog.text.count("cannot read the cache of this Inspire-Pack release") == 1


async def test_poll_reads_memory_at_the_patcher_in_old_releases(comfyui: FakeComfyUI) -> None:
    """The entries of ComfyUI 0.2.2 have no `model_loaded_memory`."""
    flux = entry(Flux, "cuda", 0, 300)
    del flux.model_loaded_memory
    flux.model.loaded_size = lambda: 700
    comfyui.add_module("comfy.model_management", current_loaded_models=[flux])
    watcher = comfyui.module("watcher").Watcher(lambda: 0.0)
    assert (await comfyui.check_json("?key=a"))["held"]["vram"] == [{"name": "Flux", "bytes": 700}]
    flux.model.loaded_size = lambda: 200
    watcher.poll()
    assert [frame["change"] for frame in comfyui.frames if frame["instance"] == watcher.instance] == ["unloaded"]


async def test_poll_sends_unloaded_when_model_memory_shrinks(comfyui: FakeComfyUI) -> None:
    flux = entry(Flux, "cuda", 700, 300)
    models = comfyui.add_module("comfy.model_management", current_loaded_models=[flux])
    now = itertools.count()
    watcher = comfyui.module("watcher").Watcher(lambda: float(next(now)))
    flux.model_loaded_memory = lambda: 200
    watcher.poll()
    grown = SimpleNamespace(model=flux.model, model_loaded_memory=lambda: 800)
    vars(models)["current_loaded_models"] = [grown]
    watcher.poll()
    vars(models)["current_loaded_models"] = [SimpleNamespace(model=None)]
    watcher.poll()
    sent = [frame["change"] for frame in comfyui.frames if frame["instance"] == watcher.instance]
    assert sent == ["unloaded", "unloaded"]


async def test_frame_with_more_than_500_keys_is_truncated(comfyui: FakeComfyUI, watcher: Any) -> None:
    comfyui.store(*(f"{number:04}" for number in range(501)))
    watcher.poll()
    assert comfyui.frames[0]["truncated"]
    assert comfyui.frames[0]["present"] == [f"{number:04}" for number in range(500)]


async def test_installed_watcher_polls_on_its_own(comfyui: FakeComfyUI) -> None:
    comfyui.store("a")
    await asyncio.wait_for(comfyui.server.frame_sent.wait(), 5)
    assert changes(comfyui) == [("loaded", ["a"])]


async def test_watch_after_failed_polls_continues_and_logs_once(
    comfyui: FakeComfyUI, caplog: pytest.LogCaptureFixture
) -> None:
    polled = asyncio.Event()

    class FailingTwice(comfyui.module("watcher").Watcher):  # type: ignore[misc]
        polls = 0

        def poll(self) -> None:
            self.polls += 1
            if self.polls <= 2:
                raise OSError("poll failed")
            polled.set()

    comfyui.server.send_sync = None
    watcher = FailingTwice()
    watcher.send("started")
    task = asyncio.create_task(watcher.watch())
    await asyncio.wait_for(polled.wait(), 5)
    task.cancel()
    assert caplog.text.count("cannot read the caches") == 1
