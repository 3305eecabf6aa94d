"""The watcher's frames, and the caches it reads, without ComfyUI."""

import asyncio
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from typing_extensions import override

from tests.node.conftest import Inside
from tests.node.test_answers import Flux, entry


class Tagged:
    """Inspire-Pack's TaggedCache: one mapping for each tag. A use of an entry would change what it evicts first."""

    def __init__(self, *keys: object) -> None:
        self._data = {"ckpt": dict.fromkeys(keys[:1]), "model": dict.fromkeys(keys[1:])}

    def __getitem__(self, key: object) -> None:
        raise AssertionError("the node has used an entry")

    def items(self) -> None:
        raise AssertionError("the node has used every entry")


class BeingChanged(dict[str, None]):
    @override
    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("dictionary changed size during iteration")


def changes(inside: Inside) -> list[tuple[str, list[str]]]:
    return [(frame["change"], frame["present"]) for frame in inside.frames]


@pytest.fixture
def watcher(inside: Inside) -> Any:
    """One more than the running one, that looks when told to."""
    inside.server.sent.clear()
    return inside.module("watcher").Watcher()


async def test_each_kind_of_change(inside: Inside, watcher: Any) -> None:
    deeds: list[Callable[[], None]] = [
        lambda: inside.keep("b", "a"),
        lambda: inside.drop("b"),
        lambda: None,
        lambda: inside.drop("*"),
    ]
    for deed in deeds:
        deed()
        watcher.look()
    watcher.tell("started")
    assert changes(inside) == [("loaded", ["a", "b"]), ("evicted", ["a"]), ("cleared", []), ("started", [])]
    assert [frame["sequence"] for frame in inside.frames] == [1, 2, 3, 4]
    assert {frame["instance"] for frame in inside.frames} == {watcher.instance}


async def test_what_is_there_at_the_start_is_no_change(inside: Inside) -> None:
    inside.keep("a")
    watcher = inside.module("watcher").Watcher()
    watcher.look()
    assert (watcher.sequence, watcher.keys) == (0, ["a"])


async def test_inspires_cache_is_read_without_use_wherever_it_is_and_by_text_keys_only(
    inside: Inside, watcher: Any
) -> None:
    module = inside.add_module("pack.inspire.backend_support", cache=Tagged("a", "b", 5))
    inside.keep("own")
    watcher.look()
    vars(module)["cache"] = {"plain": 1}
    watcher.look()
    assert changes(inside) == [("loaded", ["a", "b", "own"]), ("evicted", ["own", "plain"])]


async def test_a_cache_that_is_being_changed_is_looked_at_later(inside: Inside, watcher: Any) -> None:
    module = inside.add_module("pack.inspire.backend_support", cache={"a": 1})
    watcher.look()
    vars(module)["cache"] = BeingChanged()
    watcher.look()
    assert watcher.keys == ["a"]
    assert len(inside.frames) == 1


async def test_a_cache_of_an_unknown_form_counts_as_empty_and_is_told_of_once(
    inside: Inside, watcher: Any, caplog: pytest.LogCaptureFixture
) -> None:
    inside.add_module("pack.inspire.backend_support", cache=object())
    inside.keep("own")
    for _ in range(3):
        watcher.look()
    assert watcher.keys == ["own"]
    assert caplog.text.count("cannot read this Inspire-Pack's cache") == 1


async def test_models_that_leave_are_told_of(inside: Inside) -> None:
    flux = entry(Flux, "cuda", 700, 300)
    models = inside.add_module("comfy.model_management", current_loaded_models=[flux])
    watcher = inside.module("watcher").Watcher()
    flux.model_loaded_memory = lambda: 200
    watcher.look()
    again = SimpleNamespace(model=flux.model, model_loaded_memory=lambda: 800)
    vars(models)["current_loaded_models"] = [again]
    watcher.look()
    vars(models)["current_loaded_models"] = [SimpleNamespace(model=None)]
    watcher.look()
    told = [frame["change"] for frame in inside.frames if frame["instance"] == watcher.instance]
    assert told == ["unloaded", "unloaded"]


async def test_a_long_list_is_cut(inside: Inside, watcher: Any) -> None:
    inside.keep(*(f"{number:04}" for number in range(501)))
    watcher.look()
    assert inside.frames[0]["truncated"]
    assert inside.frames[0]["present"] == [f"{number:04}" for number in range(500)]


async def test_the_running_watcher_tells_by_itself(inside: Inside) -> None:
    inside.keep("a")
    await asyncio.wait_for(inside.server.told.wait(), 5)
    assert changes(inside) == [("loaded", ["a"])]


async def test_looks_and_frames_that_fail_are_survived(inside: Inside, caplog: pytest.LogCaptureFixture) -> None:
    seen = asyncio.Event()

    class Failing(inside.module("watcher").Watcher):  # type: ignore[misc]
        looks = 0

        def look(self) -> None:
            self.looks += 1
            if self.looks <= 2:
                raise OSError("a bad look")
            seen.set()

    inside.server.send_sync = None
    watcher = Failing()
    watcher.tell("started")
    task = asyncio.create_task(watcher.watch())
    await asyncio.wait_for(seen.wait(), 5)
    task.cancel()
    assert caplog.text.count("could not look at the caches") == 1


async def test_what_is_kept_and_when_the_executor_runs_a_node_again(inside: Inside) -> None:
    keeping, giving, dropping = (
        inside.package.NODE_CLASS_MAPPINGS[f"{name} //comfywarm"] for name in ("CacheModel", "CachedModel", "DropModel")
    )
    before = keeping.IS_CHANGED(key="a", tag="t", data=None), giving.IS_CHANGED(key="a")
    assert keeping().keep("a", "t", "data") == ("data",)
    assert giving().give("a") == ("data",)
    kept = keeping.IS_CHANGED(key="a", tag="t", data=None), giving.IS_CHANGED(key="a")
    assert kept == (before[0], before[1] + 1)
    inside.drop("a")
    inside.drop("a")
    assert (keeping.IS_CHANGED(key="a"), giving.IS_CHANGED(key="a")) == (kept[0] + 1, kept[1] + 1)
    assert dropping.IS_CHANGED(key="a") != dropping.IS_CHANGED(key="a")
    with pytest.raises(ValueError, match="cannot be the key"):
        keeping().keep("*", "t", None)
    with pytest.raises(ValueError, match="nothing is cached under the key 'a'"):
        giving().give("a")
